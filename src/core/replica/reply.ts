import { present } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import type { ExecuteRequest } from '../../protocol/execute.ts';
import { encodeValue } from '../../protocol/json-value.ts';
import type { StatementResult } from '../execution/run.ts';

/** What of a request its answer depends on, besides the results. */
export type Answered = Pick<ExecuteRequest, 'shape' | 'session' | 'asOf'>;

/**
 * The public API's answer to `/v1/query` or `/v1/batch`, JSON text; the router passes it on as it is. `session` is the token
 * of what the reply saw; it stands last, where a router that merges finds it.
 */
export function encodeReply(
  { shape, asOf }: Answered,
  results: readonly StatementResult[],
  partition: PartitionId,
  session: string,
): string {
  const parts = results.map(encodeResult);
  const shown = shape === 'query' ? parts[0] : `"results":[${parts.map((part) => `{${part}}`).join(',')}]`;
  const moment = asOf === undefined ? '' : `,"asOf":"${asOf}"`;
  return `{${present(shown, 'a query is one statement')}${moment},"plan":{"kind":"route","partition":${partition}},"session":"${session}"}`;
}

function encodeResult({ columns, rows, rowsAffected, lastInsertRowid }: StatementResult): string {
  const id = lastInsertRowid === null ? 'null' : encodeValue(lastInsertRowid);
  return `"columns":${JSON.stringify(columns)},"rows":${rows},"rowsAffected":${rowsAffected},"lastInsertRowid":${id}`;
}
