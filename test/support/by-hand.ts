/** What came to a browser. */
export interface Seen {
  status: number;
  page: string;
  set: string[];
  headers: Headers;
}

/** Keeps cookies as a browser does, of one host, and does nothing by itself. */
export function newBrowser() {
  const cookies = new Map<string, string>();
  const send = async (url: string, init: RequestInit = {}): Promise<Seen> => {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const response = await fetch(url, { redirect: 'manual', ...init, headers: { cookie } });
    const set = response.headers.getSetCookie();
    for (const one of set) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(one)!;
      if (one.includes('Max-Age=0;')) cookies.delete(name!);
      else cookies.set(name!, value!);
    }
    return { status: response.status, page: await response.text(), set, headers: response.headers };
  };
  const get = (url: string): Promise<Seen> => send(url);
  const post = async (url: string, fields: Record<string, string>): Promise<Seen> => {
    const { page } = await get(url);
    const token = /name="token" value="([^"]+)"/.exec(page)![1]!;
    return await send(url, { method: 'POST', body: new URLSearchParams({ token, ...fields }) });
  };
  return { cookies, get, post };
}
export type ByHand = ReturnType<typeof newBrowser>;

/** Where a page sends its browser. */
export const nextOf = ({ page }: Seen): string =>
  /http-equiv="refresh" content="0; url=([^"]+)"/.exec(page)![1]!.replaceAll('&amp;', '&');
