import { validateHostHeader, validateOriginHeader } from '@modelcontextprotocol/server';
import type { IncomingHttpHeaders } from 'node:http';
import type { Problem } from './answers.ts';

export interface AllowedPlaces {
  /** Host names, without ports. */
  hosts: readonly string[];
  /** Of pages that may call us, host names without ports. */
  origins: readonly string[];
}

export const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'] as const;

/**
 * Refuses requests that a page of somebody else's made a browser send (DNS rebinding, cross-site). Only the Host
 * header itself counts, never what a proxy says that it was.
 */
export function refuseStrangers({ host, origin }: IncomingHttpHeaders, { hosts, origins }: AllowedPlaces): Problem | null {
  const known = validateHostHeader(host, [...hosts]);
  if (!known.ok) return { status: 403, says: known.message };
  const from = validateOriginHeader(origin, [...origins]);
  return from.ok ? null : { status: 403, says: from.message };
} // prettier-ignore
