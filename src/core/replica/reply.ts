import type { PartitionId } from '../../base/brand.ts';
import { encodeValue } from '../../protocol/json-value.ts';
import type { StatementResult } from '../execution/run.ts';

/**
 * The public API's answer to `/v1/query`, JSON text, up to its session token: see {@link withSession}. The router passes
 * it on as it is.
 */
export function encodeQuery(result: StatementResult, partition: PartitionId): string {
  return `{${encodeResult(result)},${encodePlan(partition)}`;
}

/** The public API's answer to `/v1/batch`, up to its session token. */
export function encodeBatch(results: readonly StatementResult[], partition: PartitionId): string {
  const parts = results.map((result) => `{${encodeResult(result)}}`);
  return `{"results":[${parts.join(',')}],${encodePlan(partition)}`;
}

/** The whole answer. `session` is the token of what it saw; it stands last, where a router that merges finds it. */
export function withSession(answer: string, session: string): string {
  return `${answer}"session":"${session}"}`;
}

function encodePlan(partition: PartitionId): string {
  return `"plan":{"kind":"route","partition":${partition}},`;
}

function encodeResult({ columns, rows, rowsAffected, lastInsertRowid }: StatementResult): string {
  const id = lastInsertRowid === null ? 'null' : encodeValue(lastInsertRowid);
  return `"columns":${JSON.stringify(columns)},"rows":${rows},"rowsAffected":${rowsAffected},"lastInsertRowid":${id}`;
}
