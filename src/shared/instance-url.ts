/** Where a Polycrate API lives, as an operator wrote it: the root of the instance, or why it is none. */
export function readInstanceUrl(text: string): { url: string } | { problem: string } {
  const written = text.trim();
  if (!/^https?:\/\//i.test(written) || !URL.canParse(written))
    return { problem: 'is not a URL that begins with https://' };
  const url = new URL(written);
  if (url.username !== '' || url.password !== '')
    return { problem: 'has a user or key in it, which belongs in api_key' };
  if (url.search !== '' || url.hash !== '') return { problem: 'has a query in it; a key belongs in api_key' };
  // Paths of operations are added below it, and people copy them from the documentation.
  const path = url.pathname.replace(/\/api(\/(v1|docs))?\/?$/, '').replace(/\/+$/, '');
  return { url: url.origin + path };
}

/** Plain http sends the key readable, which is fine on this machine alone. */
export function isPlainElsewhere(text: string): boolean {
  const { protocol, hostname } = new URL(text);
  return (
    protocol === 'http:' &&
    !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname) &&
    !hostname.endsWith('.localhost')
  );
}
