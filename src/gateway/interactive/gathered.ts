import type { PartitionId } from '../../base/brand.ts';
import type { GatheredInsertPlan } from '../../core/plan/plan.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../../protocol/json-value.ts';
import { insertsFor } from '../gathered.ts';
import type { KnownNetwork } from '../known-network.ts';
import { type Planned, PlanRefusal } from '../planned.ts';

/** Where nothing is to be inserted: the statement is answered all the same. */
export const NO_ROWS: WireStatement = { sql: 'SELECT NULL WHERE false' };

/**
 * The INSERT of rows that have to be read first, as its transaction sees them: by a read of the transaction itself, `read`, whose answer
 * must hold at the commit like all others. Null: there are no rows.
 *
 * @throws PlanRefusal
 */
export async function insertWithin(
  known: KnownNetwork,
  planned: Planned,
  plan: GatheredInsertPlan,
  read: (statement: WireStatement) => Promise<Response>,
): Promise<Planned | null> {
  const { sql, parameterCount } = plan.read;
  const response = await read({ sql, args: parseJson(encodeRow(planned.args.slice(0, parameterCount))) });
  // Not `JSON.parse`, for which 1.0 is 1.
  const { rows } = parseJson(await response.text()) as { rows: unknown[][] };
  const [insert = null, more] = insertsFor(
    known,
    planned,
    plan,
    rows.map((row) => decodeRow(row)),
  );
  if (more === undefined) return insert;
  throw new PlanRefusal(
    'too-large',
    `the ${rows.length} rows that it reads do not go into one statement of a transaction: insert fewer at a time, or send it to /v1/query`,
  );
}

/** A partition's answer, and which it is of: a repeat does not know what was read. */
export interface PartitionReply {
  readonly partition: PartitionId;
  readonly reply: string;
}

/** Of those that have inserted something: the others were only looked at. */
export function insertingReplies(replies: readonly string[]): PartitionReply[] {
  return replies.flatMap((reply) => {
    const { results, plan } = parseJson(reply) as {
      results: { rowsAffected: number }[];
      plan: { partition: number };
    };
    return Number(results[0]?.rowsAffected) === 0
      ? []
      : [{ partition: Number(plan.partition) as PartitionId, reply }];
  });
}
