import type { TableId, Token } from '../../base/brand.ts';

/**
 * What a transaction has read or will write in one partition, until its decision is applied. Keys are locked by their
 * token: keys that share one are locked together, which costs a needless wait and nothing else. JSON on disk.
 */
export interface Lock {
  /** Null: every table. */
  readonly table: TableId | null;
  /** Null: every key. */
  readonly token: Token | null;
  /** Not shared with others. */
  readonly exclusive: boolean;
}

export const WHOLE_SHARED: Lock = { table: null, token: null, exclusive: false };
export const WHOLE_EXCLUSIVE: Lock = { table: null, token: null, exclusive: true };

/** Above the tokens of keys, and of ids (footprint.ts). */
const COPY_TOKEN = (2 ** 33) as Token;

/**
 * Of a reference table, as one: whoever writes rows by their keys, which are of other tables, and does not look at it need not wait for
 * those who do. Before, it was locked without a token, as what is prepared may still say.
 */
export function copyLock(table: TableId | null, exclusive: boolean): Lock {
  return { table, token: COPY_TOKEN, exclusive };
}

export function isCopyLock({ token }: Lock): boolean {
  return token === COPY_TOKEN;
}

/** Whether two transactions cannot both have their lock. */
export function conflict(left: Lock, right: Lock): boolean {
  if (!left.exclusive && !right.exclusive) return false;
  if (left.table !== null && right.table !== null && left.table !== right.table) return false;
  return left.token === null || right.token === null || left.token === right.token;
}
