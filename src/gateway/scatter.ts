import { mergeAnswers } from '../core/plan/merge/merge.ts';
import type { Merge, ScatterPlan } from '../core/plan/plan.ts';
import { encodeRow } from '../protocol/json-value.ts';
import { AnswersHeld } from './answers-held.ts';
import { consistencyText } from './as-of.ts';
import { certify } from './certify.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { mergeFailure } from './merge-failure.ts';
import type { Planned } from './planned.ts';
import { sessionText } from './reply-session.ts';
import { scatterParts } from './scatter-parts.ts';
import { decode, gather, type Round, type RowsText, rowsTextOf, type Scatter } from './scatter-round.ts';
import type { Session } from './statements.ts';
import { underLocks } from './under-locks.ts';

/** How often a read is tried before locks make it certain (chosen: each costs the partitions the whole read). */
const ATTEMPTS_MAX = 3;
/** Before the second attempt, ms; longer by each (chosen: about what a write takes, and a reference table's at all partitions). */
const PAUSE_MS = 5;

/**
 * Asks every partition that may have rows, and merges what they answer. A strong read is as of one moment: it is certified,
 * or else read anew. Any other is not, which its reply says.
 */
export async function executeScatter(
  session: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  planned: Planned,
  plan: ScatterPlan,
): Promise<Response> {
  try {
    const { partitions, statement } = scatterParts(known, planned, plan, Date.now());
    const scatter: Scatter = { session, known, demand, partitions, statement, system: 0 };
    for (let count = 1; count <= ATTEMPTS_MAX; count++) {
      if (count > 1) await beforeAttempt(count, session);
      const response = await attempt(scatter, plan, planned.args);
      if (response !== null) return response;
    }
  } catch (error) {
    throw mergeFailure(error);
  }
  return underLocks(session, known, demand, planned);
}

/** Null: it had to be certified, and was not. */
async function attempt(scatter: Scatter, plan: ScatterPlan, args: Planned['args']): Promise<Response | null> {
  const { session, known, demand, partitions } = scatter;
  const round: Round = { ...scatter, held: new AnswersHeld(), seen: new Map() };
  try {
    const merge = await read(round, plan, args);
    if (demand.consistency === 'strong' && demand.past === null && partitions.length > 1) {
      const { certified, system } = await certify(session, known, plan.tables, round.seen);
      scatter.system = system;
      if (!certified) return null;
    }
    return reply(merge(), round);
  } finally {
    round.held.release();
  }
}

async function beforeAttempt(count: number, { database, context }: Session): Promise<void> {
  database.metrics.retried('uncertified');
  const pause = Math.min(PAUSE_MS * (count - 1), context.deadline - Date.now());
  await new Promise((resolve) => setTimeout(resolve, pause));
}

/**
 * One answer of every partition, and how they are merged: not before it is known that they stand.
 *
 * @throws MergeError when it is called
 */
async function read(round: Round, { merge }: ScatterPlan, args: Planned['args']): Promise<() => RowsText> {
  if (isConcatenation(merge)) {
    const answers = await gather(round, rowsTextOf);
    return () => ({
      columns: merge.columns ?? answers[0]?.columns ?? [],
      rows: answers.flatMap(({ rows }) => (rows === '' ? [] : [rows])).join(),
    });
  }
  const answers = await gather(round, (text) => decode(text, round.held));
  return () => {
    const { columns, rows } = mergeAnswers(merge, answers, args);
    return { columns, rows: rows.map((row) => encodeRow(row)).join() };
  };
}

/** Whether the answer is the partitions' rows as they are, one after the other. */
function isConcatenation({ aggregate, distinct, order, limit, columns, width }: Merge): boolean {
  const cut = columns !== null && columns.length !== width;
  return aggregate === null && distinct === null && order.length === 0 && limit === null && !cut;
}

function reply({ columns, rows }: RowsText, { known, demand, partitions, seen }: Round): Response {
  const consistency = demand.consistency === 'strong' ? 'strong' : 'per-partition';
  const body =
    `{"columns":${JSON.stringify(columns)},"rows":[${rows}],` +
    `"rowsAffected":0,"lastInsertRowid":null,${consistencyText(demand, consistency)},` +
    `"plan":{"kind":"scatter","partitions":${JSON.stringify(partitions)}},` +
    `"session":"${sessionText(known, demand, [...seen.values()])}"}`;
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}
