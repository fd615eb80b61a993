import type { ActionRun } from './action-run.ts';

/** A name that a `user` filter finds a run by. */
export interface PersonName {
  name: string;
  role: 'os_user' | 'principal' | 'claimed';
}

/** `storable`: text as the store holds it. */
export function peopleOf(
  { os_user, principal, claimed_principal }: Pick<ActionRun, 'os_user' | 'principal' | 'claimed_principal'>,
  storable: (text: string) => string,
): PersonName[] {
  const people: PersonName[] = [];
  const add = (name: string | null | undefined, role: PersonName['role']): void => {
    if (name) people.push({ name: storable(name).toLowerCase(), role });
  };
  add(os_user, 'os_user');
  add(principal?.subject, 'principal');
  add(principal?.display, 'principal');
  add(claimed_principal?.subject, 'claimed');
  add(claimed_principal?.display, 'claimed');
  return people;
}
