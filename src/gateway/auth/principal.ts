import { AtollError } from '../../protocol/error.ts';
import { includesRole, type Role } from './role.ts';

/** {@link Principal.id} of the token of `ATOLL_TOKEN`, which no revocation ends. */
export const STATIC_ID = 'static';

/** Who sends a request, as a verified token tells. */
export interface Principal {
  /** The token's id, by which it can be revoked; or {@link STATIC_ID}. */
  readonly id: string;
  readonly role: Role;
  /** Names of databases, or null for all, later ones included. */
  readonly databases: readonly string[] | null;
}

/** Stops with `forbidden` unless the principal may act as `needed` on the database. */
export function authorize(principal: Principal, database: string, needed: Role): void {
  const { databases, role } = principal;
  if (databases !== null && !databases.includes(database)) {
    throw new AtollError('forbidden', `this token is not for the database '${database}'`);
  }
  if (!includesRole(role, needed)) {
    throw new AtollError('forbidden', `this takes the role '${needed}'; the token has '${role}'`);
  }
}

/** For what concerns the cluster and no one database: an admin of all databases. Error: `forbidden`. */
export function authorizeCluster(principal: Principal): void {
  if (principal.role !== 'admin' || principal.databases !== null) {
    throw new AtollError('forbidden', "this takes a token with the role 'admin' for all databases");
  }
}
