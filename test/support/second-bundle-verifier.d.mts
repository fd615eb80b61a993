export function verifyBundle(folder: string, publicKeyPem: string): string[];

/** The record that events make; the members of an event as in a bundle. */
export function merged(events: readonly object[]): Record<string, unknown>;
