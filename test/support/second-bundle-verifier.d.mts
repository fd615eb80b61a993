export function verifyBundle(folder: string, publicKeyPem: string): string[];
