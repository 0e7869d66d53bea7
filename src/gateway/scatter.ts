import type { PartitionId } from '../base/brand.ts';
import { MergeError } from '../core/plan/evaluate/error.ts';
import { mergeAnswers, type PartitionRows } from '../core/plan/merge/merge.ts';
import type { Merge, ScatterPlan } from '../core/plan/plan.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../protocol/json-value.ts';
import type { SessionToken } from '../protocol/session.ts';
import { ANSWERS_BYTES_MAX, AnswersHeld } from './answers-held.ts';
import { consistencyText } from './as-of.ts';
import { certify } from './certify.ts';
import { executeIn } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ } from './lost.ts';
import type { Planned } from './planned.ts';
import { sessionIn, sessionText } from './reply-session.ts';
import { scatterParts } from './scatter-parts.ts';
import type { Session } from './statements.ts';
import { underLocks } from './under-locks.ts';

/** Partitions asked at a time (chosen: as many connections and tasks as a request can well have). */
const PARALLEL_MAX = 32;

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
    if (!(error instanceof MergeError)) throw error;
    throw new AtollError(error.kind === 'unsupported' ? 'unsupported' : 'sql', error.message);
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

interface Scatter {
  readonly session: Session;
  readonly known: KnownNetwork;
  readonly demand: ReadDemand;
  readonly partitions: readonly PartitionId[];
  readonly statement: WireStatement;
  /** How far partitions must have followed the system partition. */
  system: number;
}

/** One attempt. */
interface Round extends Scatter {
  readonly held: AnswersHeld;
  /** What each partition has seen that has answered. */
  readonly seen: Map<PartitionId, SessionToken>;
}

/** The answer's columns, and its rows' JSON without the brackets. */
interface Merged {
  readonly columns: readonly string[];
  readonly rows: string;
}

/**
 * One answer of every partition, and how they are merged: not before it is known that they stand.
 *
 * @throws MergeError when it is called
 */
async function read(round: Round, { merge }: ScatterPlan, args: Planned['args']): Promise<() => Merged> {
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

/**
 * Each partition may answer its share of the bound, so that all together stay within it wherever they hold what they
 * have not sent. Those that have more, since rows are spread unevenly, are asked once more one after another, for
 * up to all that the others have left.
 */
async function gather<Answer>(round: Round, read: (text: string) => Answer): Promise<Answer[]> {
  const { session, partitions, held } = round;
  session.database.metrics.fanOut.observe(partitions.length);
  const share = Math.floor(ANSWERS_BYTES_MAX / partitions.length);
  const answers = await fanOut(partitions, PARALLEL_MAX, async (partition, signal) => {
    const response = await ask(round, partition, share, signal).catch((error: unknown) => {
      if (error instanceof AtollError && error.code === 'result-too-large') return null;
      throw error;
    });
    return response === null ? null : { answer: await take(round, partition, response, read) };
  });
  const all: Answer[] = [];
  for (const [index, partition] of partitions.entries()) {
    const present = answers[index] ?? null;
    if (present === null) {
      const response = await ask(round, partition, held.left);
      all.push(await take(round, partition, response, read));
    } else all.push(present.answer);
  }
  return all;
}

function ask(
  { session, known, demand, statement, system }: Scatter,
  partition: PartitionId,
  answerBytesMax: number,
  signal?: AbortSignal,
): Promise<Response> {
  const statements = [statement];
  const work = { partition, shape: 'query', read: true, statements, answerBytesMax, demand, system } as const;
  return executeIn(session.database, known, work, { ...session.context, ...(signal && { signal }) });
}

async function take<Answer>(
  { held, seen }: Round,
  partition: PartitionId,
  response: Response,
  read: (text: string) => Answer,
): Promise<Answer> {
  const text = await held.read(response).catch((error: unknown) => {
    throw lostAnswer(error, partition, READ);
  });
  seen.set(partition, sessionIn(text));
  return read(text);
}

function decode(text: string, held: AnswersHeld): PartitionRows {
  const { columns, rows } = parseJson(text) as { columns: string[]; rows: unknown[][] };
  // One more for the row itself.
  held.takeValues(rows.length * (columns.length + 1));
  return { columns, rows: rows.map((row) => decodeRow(row)) };
}

/** Whether the answer is the partitions' rows as they are, one after the other. */
function isConcatenation({ aggregate, distinct, order, limit, columns, width }: Merge): boolean {
  const cut = columns !== null && columns.length !== width;
  return aggregate === null && distinct === null && order.length === 0 && limit === null && !cut;
}

/** The columns, and the rows' JSON without its brackets. In a string the quotes of these names would be escaped. */
function rowsTextOf(text: string): Merged {
  const name = text.indexOf(',"rows":[');
  const { columns } = JSON.parse(`${text.slice(0, name)}}`) as { columns: string[] };
  return { columns, rows: text.slice(name + ',"rows":['.length, text.lastIndexOf('],"rowsAffected":')) };
}

function reply({ columns, rows }: Merged, { known, demand, partitions, seen }: Round): Response {
  const consistency = demand.consistency === 'strong' ? 'strong' : 'per-partition';
  const body =
    `{"columns":${JSON.stringify(columns)},"rows":[${rows}],` +
    `"rowsAffected":0,"lastInsertRowid":null,${consistencyText(demand, consistency)},` +
    `"plan":{"kind":"scatter","partitions":${JSON.stringify(partitions)}},` +
    `"session":"${sessionText(known, demand, [...seen.values()])}"}`;
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}
