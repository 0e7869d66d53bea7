import { expect } from 'vitest';
import type { Epoch, Timestamp } from '../../../src/base/brand.ts';
import type { ExecuteOutcome } from '../../../src/core/replica/outcome.ts';
import type { Replica } from '../../../src/core/replica/replica.ts';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import type { ExecuteRequest } from '../../../src/protocol/execute.ts';
import type { LocalCluster } from '../../harness/local-cluster.ts';

/** One request, a read unless it says otherwise. */
export function ask(
  cluster: LocalCluster,
  sql: string | readonly string[],
  more: Partial<ExecuteRequest>,
  replica: Replica = cluster.replica(1),
): ExecuteOutcome {
  const request: ExecuteRequest = {
    epoch: 1 as Epoch,
    schema: replica.schema.version,
    system: 0,
    shape: typeof sql === 'string' ? 'query' : 'batch',
    read: true,
    statements: [sql].flat().map((each) => ({ sql: each })),
    ...more,
  };
  return replica.execute([request], cluster.now)[0] as ExecuteOutcome;
}

/** The rows of one statement as of a moment; throws what it is refused for. */
export function rowsAt(cluster: LocalCluster, sql: string, asOf: Timestamp, replica?: Replica): unknown[][] {
  const outcome = ask(cluster, sql, { asOf }, replica);
  if (outcome.kind === 'error') throw outcome.error;
  if (outcome.kind !== 'done') throw new Error(outcome.kind);
  const answer = JSON.parse(outcome.body) as { rows: unknown[][]; asOf: string };
  expect(answer.asOf).toBe(asOf);
  return answer.rows;
}

/** All that the file holds. */
export function everything(port: SqlitePort): string {
  const { rows } = port.query(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
  );
  return JSON.stringify(rows.map(([name]) => [name, port.query(`SELECT * FROM "${String(name)}"`).rows]));
}
