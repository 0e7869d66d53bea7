import { present } from '../base/assert.ts';
import type { PartitionId } from '../base/brand.ts';
import { bindLookup, keyOfEntry } from '../core/plan/lookup.ts';
import type { Lookup, ScatterPlan } from '../core/plan/plan.ts';
import { tokenOfKey } from '../core/schema/partition-key.ts';
import { keyColumns } from '../core/schema/placement.ts';
import { quoteName } from '../core/sqlite/quote.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../protocol/json-value.ts';
import type { LookupReply, LookupRequest } from '../protocol/lookup.ts';
import type { StalePartition } from '../protocol/network.ts';
import type { SessionToken } from '../protocol/session.ts';
import { readError } from './database.ts';
import { executeIn, StaleNetworkError } from './execute.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ } from './lost.ts';
import { combineResults, type PartResult } from './parts.ts';
import type { Planned } from './planned.ts';
import { sessionIn, sessionText } from './reply-session.ts';
import type { Session } from './statements.ts';

/** How often a row that has moved is looked for before all partitions are asked (chosen: it would move each time). */
export const ATTEMPTS_MAX = 3;

/** Where a row with the values is, as the index has it. */
export interface Found {
  /** Of the row; where there is none, the index's own: any says that there is none. */
  readonly partition: PartitionId;
  readonly exists: boolean;
  /** Whether the row is there, to be asked in one step with whatever is done with it. */
  readonly check: WireStatement;
  readonly seen: SessionToken;
}

/**
 * Answers a strong read by the one partition that has all it needs, which an index over partitions names. The answer stands if
 * the row was there in the same step, or if the index had none: then there was none in any partition. Null: all are to be asked.
 */
export async function executeLookup(
  session: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  planned: Planned,
  { lookup }: ScatterPlan,
): Promise<Response | null> {
  if (lookup === undefined || demand.consistency !== 'strong' || demand.past !== null) return null;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const found = await findRow(session, known, demand, planned, lookup);
    if (found === null) return null;
    const { partition, exists, check, seen } = found;
    const statements = [check, planned.statement];
    const work = { partition, shape: 'batch', read: true, statements, demand } as const;
    const response = await executeIn(session.database, known, work, session.context);
    const text = await response.text().catch((error: unknown) => {
      throw lostAnswer(error, partition, READ);
    });
    // Not `JSON.parse`, for which 1.0 is 1.
    const [there, answer] = (parseJson(text) as { results: PartResult[] }).results;
    if (exists && there?.rows.length === 0) continue;
    const token = sessionText(known, demand, [seen, sessionIn(text)]);
    return new Response(
      `{${combineResults([[partition, present(answer, 'a statement has a result')]])},"consistency":"strong",` +
        `"plan":{"kind":"lookup","partition":${partition}},"session":"${token}"}`,
      { headers: { 'content-type': 'application/json' } },
    );
  }
  return null;
}

/** Null: a value is NULL, which is no row's or many rows'. */
export async function findRow(
  session: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  { args }: Planned,
  lookup: Lookup,
): Promise<Found | null> {
  const values = bindLookup(lookup, args);
  const owner = known.schema.table(lookup.table);
  const index = owner && known.schema.uniquesOf(owner).find(({ table }) => table.id === lookup.index);
  if (values === null || owner === undefined || index === undefined) return null;
  const home = known.tokens.partitionOf(tokenOfKey(values, keyColumns(index.table)));
  const { entry, seen } = await askIndex(session, known, demand, home, lookup.index, encodeRow(values));
  const row = entry === null ? null : decodeRow(parseJson(entry) as unknown[]);
  const partition =
    row === null
      ? home
      : known.tokens.partitionOf(tokenOfKey(keyOfEntry(index, owner, row), keyColumns(owner)));
  const where = lookup.columns.map((column, i) => `${quoteName(column)} = ?${i + 1}`).join(' AND ');
  const sql = `SELECT 1 FROM ${quoteName(owner.name)} WHERE ${where}`;
  const check = { sql, args: parseJson(encodeRow(values)) };
  return { partition, exists: row !== null, check, seen: sessionIn(seen) };
}

/** Which row has the values, a JSON array, of the index whose hidden table is `index`. */
export async function askIndex(
  { database, context }: Session,
  known: KnownNetwork,
  { session }: ReadDemand,
  partition: PartitionId,
  index: LookupRequest['index'],
  values: string,
): Promise<LookupReply> {
  const request: LookupRequest = {
    epoch: known.epochOf(partition),
    schema: known.schema.version,
    system: Math.max(known.information.systemIndex, session?.token.system ?? 0),
    index,
    values,
  };
  const body = JSON.stringify(request);
  const response = await database.deliver(partition, 'lookup', body, context, READ, (answer) => answer);
  if (response.ok) return (await response.json()) as LookupReply;
  if (response.status !== 421) throw lostAnswer(await readError(response), partition, READ);
  const newer = (await response.json()) as StalePartition;
  database.metrics.retried('stale');
  if (database.learn(newer) === null) await database.refresh(context);
  throw new StaleNetworkError(`partition ${partition} knows a newer network`);
}
