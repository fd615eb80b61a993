import { MACHINE, sees, type Identity } from '../access/identity.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { Lease } from '../runs/run-ledger.ts';
import { AppError } from '../shared/errors.ts';
import { sha256 } from '../shared/json.ts';
import type { ProcessIdentity } from '../shared/ports.ts';

/** A runner, as a request of it proves: by its key, and by the name of its data folder, which nobody else is told. */
export interface Machine {
  identity: Identity;
  /** The name of its data folder, as it sends it. */
  secret: string;
  /** The same in the leases that it holds, where it proves nothing. */
  place: string;
}

const SECRET = /^[\w.:-]{16,100}$/;

/** Throws `refused` where the key is not a machine's, or the folder has no name. */
export function machineOf(identity: Identity, secret: string | undefined): Machine {
  if (!identity.roles.includes(MACHINE)) {
    throw new AppError('refused', `this address is for keys of the role ${MACHINE}`, {
      next: `make one with: polycrate-mcp keys create --role ${MACHINE} --name NAME`,
    });
  }
  if (secret === undefined || !SECRET.test(secret)) {
    throw new AppError('invalid_argument', 'a runner has to say which data folder it works with');
  }
  return { identity, secret, place: `runner-${sha256(`polycrate-mcp runner ${secret}`).slice(0, 32)}` };
}

/** A process of the machine, as leases have it; whatever it says, its place is the machine's. */
export function stamped({ place }: Machine, owner: ProcessIdentity): ProcessIdentity {
  return { ...owner, place };
}

/** A lease as the machine knows it: the place is its data folder again. */
export function asSeen({ secret }: Machine, lease: Lease): Lease {
  return { ...lease, owner: { ...lease.owner, place: secret } };
}

export function isOwn({ place }: Machine, { owner }: Pick<Lease, 'owner'>): boolean {
  return owner.place === place;
}

export function mayKnow({ identity }: Machine, run: Pick<ActionRun, 'organization' | 'workspace'>): boolean {
  return sees(identity.scope, run);
}

/** Whom the name of a runner belongs to: its key, with that one data folder. */
export function holderOf({ identity, place }: Machine): string {
  return `${identity.principal.subject} ${place}`;
}
