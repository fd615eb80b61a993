/** UTF-8 cannot hold half a surrogate pair: it becomes U+FFFD here as it would on its way into the file. */
export function storable<T extends string | number | null>(value: T): T {
  if (typeof value !== 'string' || value.isWellFormed()) return value;
  return Buffer.from(value).toString() as T;
}
