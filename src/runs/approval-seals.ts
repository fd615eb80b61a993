import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../shared/json.ts';
import type { ActionRun } from './action-run.ts';

// What only who has the ledger's key can make, each for one request of one run: a new request has others.

/** Without letters that look like digits, as it is typed by people. */
const LETTERS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_LENGTH = 10;

/** What is typed after `polycrate-mcp approve`; shown in a terminal only. Null: it waits for nobody. */
export function codeOf(key: Uint8Array, run: ActionRun): string | null {
  const digest = sealed(key, 'code', aboutOf(run));
  if (!digest) return null;
  return [...digest.subarray(0, CODE_LENGTH)].map((byte) => LETTERS[byte % LETTERS.length]).join('');
}

/** As somebody may have typed it. */
export function normalCode(text: string): string {
  return text.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
}

/** What makes the address of the page of a run one that we handed out. Null: it waits for nobody. */
export function linkSeal(key: Uint8Array, run: ActionRun): string | null {
  return sealed(key, 'link', aboutOf(run))?.toString('base64url') ?? null;
}

function aboutOf({ id, approval_request: request }: ActionRun): readonly string[] | null {
  return request ? [id, request.nonce, request.plan_digest] : null;
}

function sealed(key: Uint8Array, what: string, about: readonly string[] | null): Buffer | null {
  return about && seal(key, what, about);
}

/** An HMAC for one purpose: none of them stands for one of another. */
export function seal(key: Uint8Array, what: string, about: readonly unknown[]): Buffer {
  return createHmac('sha256', key)
    .update(canonicalJson(['approval', what, ...about] as never))
    .digest();
}

export function isSameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
