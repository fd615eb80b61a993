import { distance } from 'fastest-levenshtein';
import { AppError } from './errors.ts';

/** No name is longer; longer text is refused before any expression looks at it. */
const MAX_NAME = 200;
/** More known names than this are not compared; a suggestion must stay cheap. */
const MAX_KNOWN = 5000;

const ALLOWED = /^[\p{L}\p{M}\p{N}._\-/:@+ ]+$/u;
const PARENT_SEGMENT = /(?:^|[/:])\.\.(?:$|[/:])/;
/** The CLI's rule for workspaces, organizations, actions, workflows and steps, written to match in linear time. */
const METADATA_NAME = /^[a-zA-Z](?:[a-zA-Z0-9_]|[-/](?=[a-zA-Z0-9_]))+$/;

/** Why a text cannot be used as a name anywhere, or null if it can. */
export function nameProblem(value: string): string | null {
  if (value.length === 0) return 'is empty';
  if (value.length > MAX_NAME) return `is longer than ${MAX_NAME} characters`;
  if (value.startsWith('-')) return 'starts with a dash';
  if (value.startsWith('/')) return 'starts with a slash';
  if (PARENT_SEGMENT.test(value)) return 'has a ".." segment';
  if (!ALLOWED.test(value)) return 'has a character other than letters, digits, space and . _ - / : @ +';
  return null;
}

/** Returns a name-like argument unchanged, or refuses it before anything else looks at it. */
export function checkText(argument: string, value: string): string {
  const problem = nameProblem(value);
  if (problem === null) return value;
  throw new AppError(
    'invalid_argument',
    `${argument} ${problem}. Allowed are up to ${MAX_NAME} letters, digits, spaces and . _ - / : @ +, ` +
      'not starting with a dash or slash, without ".." segments.',
    { details: { argument } },
  );
}

/** True for names that the CLI accepts for workspaces, organizations, actions and workflows (facts 1.6). */
export function isMetadataName(value: string): boolean {
  return value.length <= MAX_NAME && METADATA_NAME.test(value);
}

/** `name` or `name:version`; the version follows the last `:` that has no `/` behind it. */
export function parseBlockRef(reference: string): { name: string; version: string | null } {
  const colon = reference.lastIndexOf(':');
  if (colon <= 0 || reference.indexOf('/', colon) !== -1) return { name: reference, version: null };
  return { name: reference.slice(0, colon), version: reference.slice(colon + 1) || null };
}

/**
 * `organization/name` or `name`, split at the first `/`; the organization `-` stands for none. Names may contain
 * slashes themselves, so compare with known workspaces (`findWorkspace`) wherever they are at hand.
 */
export function parseWorkspaceRef(reference: string): { organization: string | null; name: string } {
  const bare = reference.startsWith('-/') ? reference.slice(2) : reference;
  checkText('workspace', bare);
  const slash = bare.indexOf('/');
  if (bare !== reference || slash === -1) return { organization: null, name: bare };
  return { organization: bare.slice(0, slash), name: bare.slice(slash + 1) };
}

/** The name without the registry host in front: `cargo.example.com/acme/db` → `acme/db`. */
export function withoutHost(name: string): string {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  return first === 'localhost' || first.includes('.') || first.includes(':') ? name.slice(slash + 1) : name;
}

/** Known names nearest to what was written, best first; the last path segment counts as much as the whole. */
export function closest(name: string, known: readonly string[], max = 5): string[] {
  const wanted = fold(name);
  const scored = [...new Set(known.slice(0, MAX_KNOWN))].map((candidate) => {
    const whole = fold(candidate);
    const last = whole.slice(whole.lastIndexOf('/') + 1);
    return { candidate, score: Math.min(distance(wanted, whole), distance(wanted, last) + 0.5) };
  });
  scored.sort((a, b) => a.score - b.score || (a.candidate < b.candidate ? -1 : 1));
  return scored.slice(0, max).map((item) => item.candidate);
}

function fold(name: string): string {
  return name.slice(0, MAX_NAME).toLowerCase();
}

/** What a runner may be called. */
export const RUNNER_NAME = /^[\w.-]{1,60}$/;
