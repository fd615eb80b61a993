/** Who is behind a request, as it was authenticated; a name that a client claims is never one. */
export interface Principal {
  kind: 'os' | 'key' | 'oidc' | 'api';
  issuer: string | null;
  subject: string;
  display: string;
}

/** What somebody who asks may do. Each but `reader` includes reading; `admin` includes everything. */
export const ROLES = ['reader', 'runner', 'approver', 'admin'] as const;
export type AskerRole = (typeof ROLES)[number];

/** Only keys have it, and it includes nothing else, nor is it included: what a runner executes and records for this server. */
export const MACHINE = 'machine';
export const KEY_ROLES = [...ROLES, MACHINE] as const;
export type Role = (typeof KEY_ROLES)[number];

/** What access tokens may be asked to carry; one for each role of somebody who asks. */
export const SCOPES: Readonly<Record<AskerRole, string>> = {
  reader: 'polycrate:read',
  runner: 'polycrate:run',
  approver: 'polycrate:approve',
  admin: 'polycrate:admin',
};

/** `organization` or `organization/workspace`, `-` where there is no organization; null: everything. */
export type Scope = readonly string[] | null;

export interface Identity {
  principal: Principal;
  roles: readonly Role[];
  /** What exists for this identity. */
  scope: Scope;
}

/** Whether one of the identity's roles is this one, or includes it. */
export function may({ roles }: Pick<Identity, 'roles'>, role: Role): boolean {
  if (role === MACHINE || roles.includes(role)) return roles.includes(role);
  return roles.includes('admin') || (role === 'reader' && roles.some((own) => own !== MACHINE));
}

/** The same for the same person behind the same kind of proof, whatever they are called. */
export function keyOf({ kind, issuer, subject }: Principal): string {
  return JSON.stringify([kind, issuer, subject]);
}

export interface Place {
  organization: string | null;
  workspace: string;
}

export function sees(scope: Scope, { organization, workspace }: Place): boolean {
  if (scope === null) return true;
  const whole = organization ?? '-';
  return scope.includes(whole) || scope.includes(`${whole}/${workspace}`);
}
