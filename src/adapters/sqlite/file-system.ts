// SQLite's locks do not hold on these file systems (statfs magic numbers).
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'CIFS'],
]);

/** The name of a network file system, null for any other. Takes what statfs says. */
export function networkFileSystem({ type }: { type: number | bigint }): string | null {
  return NETWORK_FILE_SYSTEMS.get(Number(type) >>> 0) ?? null;
}
