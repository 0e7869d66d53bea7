/** What a token may do. Each role includes those before it. */
export const roles = ['read', 'write', 'admin'] as const;

export type Role = (typeof roles)[number];

/** Whether a holder of `held` may do what takes `needed`. */
export function includesRole(held: Role, needed: Role): boolean {
  return roles.indexOf(held) >= roles.indexOf(needed);
}
