import type { PartitionId } from '../../base/brand.ts';
import { encodeValue } from '../../protocol/json-value.ts';
import type { StatementResult } from '../execution/run.ts';

/**
 * The public API's answer to `/v1/query`, JSON text; the router passes it on as it is. `session` is the token of what
 * the reply saw; it stands last, where a router that merges finds it.
 */
export function encodeQuery(result: StatementResult, partition: PartitionId, session: string): string {
  return `{${encodeResult(result)},${encodeEnd(partition, session)}`;
}

/** The public API's answer to `/v1/batch`. */
export function encodeBatch(
  results: readonly StatementResult[],
  partition: PartitionId,
  session: string,
): string {
  const parts = results.map((result) => `{${encodeResult(result)}}`);
  return `{"results":[${parts.join(',')}],${encodeEnd(partition, session)}`;
}

function encodeEnd(partition: PartitionId, session: string): string {
  return `"plan":{"kind":"route","partition":${partition}},"session":"${session}"}`;
}

function encodeResult({ columns, rows, rowsAffected, lastInsertRowid }: StatementResult): string {
  const id = lastInsertRowid === null ? 'null' : encodeValue(lastInsertRowid);
  return `"columns":${JSON.stringify(columns)},"rows":${rows},"rowsAffected":${rowsAffected},"lastInsertRowid":${id}`;
}
