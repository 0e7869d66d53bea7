import { KEY_RANDOM_BYTES, newIdempotencyKey } from '../protocol/idempotency-key.ts';
import type { QueryOptions } from './client.ts';
import { AtollError } from './error.ts';

/** Blanks and comments, then the first word. */
const FIRST_WORD = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*([a-z]+)/i;
/** After WITH comes a read or a write; a key does a read no harm. */
const WRITES: ReadonlySet<string> = new Set(['insert', 'replace', 'update', 'delete', 'with']);

/** A new idempotency key, issued now: keep it beside what it stands for to send a write again from another process. */
export function newKey(): string {
  return newIdempotencyKey(Date.now(), crypto.getRandomValues(new Uint8Array(KEY_RANDOM_BYTES)));
}

/** The key that a request is sent with: the caller's, or one of its own if a statement may write rows; undefined for none. */
export function keyOf(
  sqls: readonly string[],
  { idempotencyKey, atomicity }: QueryOptions,
  make: () => string,
): string | undefined {
  if (idempotencyKey !== undefined) return idempotencyKey ?? undefined;
  // The server takes none there yet.
  if (atomicity === 'partition') return undefined;
  return sqls.some(writesRows) ? make() : undefined;
}

function writesRows(sql: string): boolean {
  return WRITES.has(FIRST_WORD.exec(sql)?.[1]?.toLowerCase() ?? '');
}

/** Whether the server keeps no record of such requests, and has done nothing. */
export function takesNoKey(error: unknown): boolean {
  if (!(error instanceof AtollError) || error.outcome !== 'none') return false;
  return error.code === 'unsupported' && error.detail.field === 'idempotencyKey';
}
