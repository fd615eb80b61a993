/** How sure it is that a yes is not the requester's own, from least to most. */
export const STRENGTHS = ['client', 'key', 'other_principal'] as const;
export type Strength = (typeof STRENGTHS)[number];
