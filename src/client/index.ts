/** Atoll's client: everything over `fetch`, so that it runs in Node, Workers, browsers, Deno and Bun. */
export {
  type Client,
  type ClientOptions,
  createClient,
  type QueryOptions,
  type Statement,
} from './client.ts';
export { AtollError, type AtollErrorFields, type Outcome } from './error.ts';
export type { Fetch } from './http.ts';
export type { ImportFormat, ImportOptions, ImportProgress, ImportResult, ImportSource } from './import.ts';
export { newKey as newIdempotencyKey } from './key.ts';
export type { PageOptions } from './pages.ts';
export type { RestoreOptions, RestoreResult, RestoreSource } from './restore.ts';
export { type BatchResult, type Plan, QueryResult } from './result.ts';
export { isComplete, type ScriptStatement, SqlSyntaxError, scriptRequests, splitScript } from './script.ts';
export { Session, type SessionOptions } from './session.ts';
export { Transaction, type TransactionOptions } from './transaction.ts';
export {
  encodeRow,
  type IntegerMode,
  RawText,
  Real,
  real,
  type SqlArguments,
  type SqlInput,
  type SqlOutput,
} from './values.ts';
