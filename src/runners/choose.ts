import { sees, type Scope } from '../access/identity.ts';
import { AppError } from '../shared/errors.ts';
import { closest } from '../shared/names.ts';
import { findWorkspace } from '../workspaces/find.ts';
import { addressOf } from '../workspaces/workspace.ts';
import type { KnownRunner, OfferedWorkspace } from './exchange.ts';

/** A runner asks again after so long at the latest; one that is silent for longer is away. */
export const POLL_MS = 10_000;
const AWAY_MS = POLL_MS + 20_000;

export function isAway({ presence, silent_ms }: Pick<KnownRunner, 'presence' | 'silent_ms'>): boolean {
  return presence !== 'here' || silent_ms > AWAY_MS;
}

/** The runners as they are for a scope: what it may not see they do not have. */
export function runnersWithin(runners: readonly KnownRunner[], scope: Scope): KnownRunner[] {
  if (scope === null) return [...runners];
  return runners
    .map((runner) => ({ ...runner, workspaces: runner.workspaces.filter((one) => isSeen(scope, one)) }))
    .filter(({ workspaces }) => workspaces.length > 0);
}

function isSeen(scope: Scope, { organization, name }: OfferedWorkspace): boolean {
  return sees(scope, { organization, workspace: name });
}

export interface Wanted {
  workspace: string;
  /** A name, or labels: `site=berlin,gpu`. */
  runner?: string | undefined;
  /** Of several that have it the first one will do. */
  any?: boolean;
}

export interface Chosen {
  runner: KnownRunner;
  workspace: OfferedWorkspace;
}

/** Pure: the one connected runner that has the workspace. Throws `no_runner`, or tells the candidates. */
export function chooseRunner(runners: readonly KnownRunner[], { workspace: reference, runner: named, any = false }: Wanted, now: number): Chosen {
  if (runners.length === 0) {
    throw new AppError('no_runner', 'this server executes nothing itself, and no runner is known that has workspaces for it', {
      next: 'the operator starts one: polycrate-mcp runner --server URL',
    });
  }
  const offered = new Map(runners.flatMap((one) => one.workspaces).map((one) => [addressOf(one), one]));
  const address = addressOf(findWorkspace([...offered.values()], reference));
  const having = runners.filter((one) => one.workspaces.some((other) => addressOf(other) === address));
  const meant = named === undefined ? having : whoIsMeant(runners, having, named, address);
  const here = meant.filter((one) => !isAway(one));
  const [only, ...others] = here;
  if (!only) throw nobody(address, meant, now);
  if (others.length > 0 && !any) {
    throw new AppError('ambiguous_name', `${here.length} runners have workspace ${address}`, {
      valid: here.map(({ name }) => name),
      next: 'say which one in runner, by name or by labels such as site=berlin; get_status shows their labels',
    });
  }
  return { runner: only, workspace: only.workspaces.find((one) => addressOf(one) === address)! };
} // prettier-ignore

function whoIsMeant(all: readonly KnownRunner[], having: readonly KnownRunner[], named: string, address: string): KnownRunner[] {
  const fits = all.some(({ name }) => name === named)
    ? all.filter(({ name }) => name === named)
    : all.filter(({ labels }) => hasLabels(labels, named));
  if (fits.length === 0) {
    const names = all.map(({ name }) => name);
    throw new AppError('unknown_name', `there is no runner "${named}", and none with such labels`, {
      valid: closest(named, names),
      next: 'get_status shows the runners with their labels',
    });
  }
  const meant = fits.filter((one) => having.includes(one));
  if (meant.length > 0) return meant;
  throw new AppError('no_runner', `runner ${fits.map(({ name }) => name).join(', ')} does not have workspace ${address}`, {
    valid: having.map(({ name }) => name),
    next: 'leave out runner, or name one that has the workspace',
  });
} // prettier-ignore

/** `site=berlin,gpu`: each of them, a word alone with any value. */
function hasLabels(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  return wanted.split(',').every((pair) => {
    const [name, value] = pair.trim().split('=', 2) as [string, string?];
    return Object.hasOwn(labels, name) && (value === undefined || labels[name] === value);
  });
}

function nobody(address: string, known: readonly KnownRunner[], now: number): AppError {
  const since = known.map(
    ({ name, silent_ms }) => `${name} (away since ${new Date(now - silent_ms).toISOString()})`,
  );
  return new AppError('no_runner', `no connected runner has workspace ${address}; known: ${since.join(', ')}`, {
    next: 'start the runner there again, or wait for it: what it was executing goes on and is recorded when it is back',
    details: { runners: known.map(({ name, silent_ms }) => ({ name, away_since: new Date(now - silent_ms).toISOString() })) },
  });
} // prettier-ignore
