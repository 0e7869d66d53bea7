import type { PartitionId } from '../../base/brand.ts';
import { encodeValue } from '../../protocol/json-value.ts';
import type { StatementResult } from '../execution/run.ts';

/** The public API's answer to `/v1/query`, JSON text; the router passes it on as it is. */
export function encodeQuery(result: StatementResult, partition: PartitionId): string {
  return `{${encodeResult(result)},"plan":{"kind":"route","partition":${partition}}}`;
}

/** The public API's answer to `/v1/batch`. */
export function encodeBatch(results: readonly StatementResult[], partition: PartitionId): string {
  const parts = results.map((result) => `{${encodeResult(result)}}`);
  return `{"results":[${parts.join(',')}],"plan":{"kind":"route","partition":${partition}}}`;
}

function encodeResult({ columns, rows, rowsAffected, lastInsertRowid }: StatementResult): string {
  const id = lastInsertRowid === null ? 'null' : encodeValue(lastInsertRowid);
  return `"columns":${JSON.stringify(columns)},"rows":${rows},"rowsAffected":${rowsAffected},"lastInsertRowid":${id}`;
}
