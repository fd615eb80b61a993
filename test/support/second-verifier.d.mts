export function verifyLedger(
  file: string,
  checkpoint?: object,
  publicKeyPem?: string,
): { what: string; seq: number }[];
export function isIncluded(
  proof: { hash: string; index: number; size: number; path: readonly string[] },
  root: string,
): boolean;
export function rootOf(hashes: readonly string[]): Buffer;
