import { present } from '../base/assert.ts';
import type { ScatterWritePlan } from '../core/plan/plan.ts';
import { parseJson } from '../protocol/json-text.ts';
import { executeIn } from './execute.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { ATTEMPTS_MAX, type Found, findRow } from './lookup.ts';
import { lostAnswer, WRITE } from './lost.ts';
import { combineResults, type PartResult } from './parts.ts';
import { type Planned, planClientStatement } from './planned.ts';
import { sessionIn, sessionText } from './reply-session.ts';
import { spreads } from './spread.ts';
import { NO_STAGE } from './stage.ts';
import type { Session } from './statements.ts';
import { executeTransaction } from './transact.ts';

/**
 * Runs an UPDATE or DELETE of one row in the partition where an index over partitions has it. Where the row was not there in the
 * same step, nothing was changed, and it is looked for again. Null: all partitions are to be asked.
 */
export async function executeLookupWrite(
  session: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  planned: Planned,
  { lookup }: ScatterWritePlan,
): Promise<Response | null> {
  if (lookup === undefined) return null;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const found = await findRow(session, known, demand, planned, lookup);
    if (found === null) return null;
    const text = await write(session, known, demand, planned, found);
    // Not `JSON.parse`, for which 1.0 is 1.
    const { results } = parseJson(text) as { results: PartResult[] };
    const [there, answer] = results;
    if (found.exists && there?.rows.length === 0) continue;
    const token = sessionText(known, demand, [found.seen, sessionIn(text)]);
    return new Response(
      `{${combineResults([[found.partition, present(answer, 'a statement has a result')]])},` +
        `"plan":{"kind":"lookup","partition":${found.partition}},"session":"${token}"}`,
      { headers: { 'content-type': 'application/json' } },
    );
  }
  return null;
}

/** Looks whether the row is there, and writes: the answer to both as a batch. */
async function write(
  session: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  planned: Planned,
  { partition, check }: Found,
): Promise<string> {
  const { database, context } = session;
  if (spreads(planned.plan)) {
    const both = [planClientStatement(check, known), planned];
    const stage = {
      ...NO_STAGE,
      places: new Map(both.map((each) => [each, partition])),
    };
    const response = await executeTransaction(session, known, { shape: 'batch', demand }, both, null, stage);
    return response.text();
  }
  const statements = [check, planned.statement];
  const work = { partition, shape: 'batch', read: false, statements, demand } as const;
  const response = await executeIn(database, known, work, context);
  return response.text().catch((error: unknown) => {
    throw lostAnswer(error, partition, WRITE);
  });
}
