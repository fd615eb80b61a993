import { NOBODY, type People } from '../access/people.ts';
import { policySource, readPeople } from '../adapters/workspace-files/policy-file.ts';
import type { Principal } from '../access/identity.ts';
import type { Config } from '../config.ts';
import type { HouseEvents } from '../ledger/house-events.ts';
import { createPolicies } from '../runs/load-policy.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import type { Clock, Log } from '../shared/ports.ts';

interface Parts {
  config: Config;
  house: Pick<HouseEvents, 'add'>;
  by: Principal;
  clock: Clock;
  log: Log;
}

/** Rules and persons of this process; nothing is read before a run or the status asks for them. */
export function policyOf({ config, house, by, clock, log }: Parts): PolicyPorts {
  const { policyFile, peopleFile, runMode } = config;
  const roots = config.workspaceRoots.map(({ path }) => path);
  let people: Promise<People> | null = null;
  return {
    policies:
      runMode !== 'policy' || policyFile === null
        ? null
        : createPolicies({
            source: policySource(policyFile, roots),
            record: (event) => house.add(event),
            ...{ by, clock, log },
          }),
    people() {
      people ??= peopleFile === null ? Promise.resolve(NOBODY) : readPeople(peopleFile, roots);
      // What could not be read is read again by the next who asks.
      people.catch(() => (people = null));
      return people;
    },
    zone: () => config.timezone,
  };
}
