import type { Principal } from './identity.ts';

/** Persons behind principals and claimed names, as the operator maps them. */
export interface Person {
  person: string;
  /** `kind:subject` or `kind:issuer#subject`. */
  principals: readonly string[];
  names: readonly string[];
}

export interface People {
  /** Null: nobody knows. */
  personOf(principal: Principal): string | null;
  count: number;
}

export const NOBODY: People = { personOf: () => null, count: 0 };

/** How files write a principal: `kind:subject`, or with its issuer `kind:issuer#subject`; for OS users also `os:name`. */
export function principalNames({ kind, issuer, subject, display }: Principal): string[] {
  return [
    `${kind}:${subject}`,
    ...(issuer === null ? [] : [`${kind}:${issuer}#${subject}`]),
    // Over stdio the subject is the number and the name of the user.
    ...(kind === 'os' ? [`os:${display}`] : []),
  ];
}

export function peopleOf(persons: readonly Person[]): People {
  const known = new Map(
    persons.flatMap(({ person, principals }) => principals.map((name) => [name, person])),
  );
  return {
    personOf(principal) {
      const found = new Set(principalNames(principal).flatMap((name) => known.get(name) ?? []));
      // One principal that two entries claim is nobody for certain.
      return found.size === 1 ? [...found][0]! : null;
    },
    count: persons.length,
  };
}
