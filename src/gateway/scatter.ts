import type { PartitionId } from '../base/brand.ts';
import { bindTargets } from '../core/plan/bind.ts';
import { MergeError } from '../core/plan/evaluate/error.ts';
import { mergeAnswers, type PartitionRows } from '../core/plan/merge/merge.ts';
import type { Merge, ScatterPlan } from '../core/plan/plan.ts';
import { bindParameters } from '../core/plan/scatter/parameters.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, encodeRow, encodeValue } from '../protocol/json-value.ts';
import type { SessionToken } from '../protocol/session.ts';
import { ANSWERS_BYTES_MAX, AnswersHeld } from './answers-held.ts';
import { consistencyText } from './as-of.ts';
import { executeIn } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ } from './lost.ts';
import type { Planned } from './planned.ts';
import { sessionIn, sessionText } from './reply-session.ts';
import type { Session } from './statements.ts';

/** Partitions asked at a time (chosen: as many connections and tasks as a request can well have). */
const PARALLEL_MAX = 32;

/** Asks every partition that may have rows, and merges what they answer. Not as of one moment: the reply says so. */
export async function executeScatter(
  session: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  { args }: Planned,
  plan: ScatterPlan,
): Promise<Response> {
  const bound = bindTargets(plan.targets, args, known.tokens);
  // `key IN ()` owns nothing, but the answer still has columns, and an aggregate a row.
  const partitions = bound.length > 0 ? bound : known.tokens.partitions().slice(0, 1);
  const now = new Date().toISOString().replace('T', ' ').replace('Z', '');
  const held = new AnswersHeld();
  try {
    const values = bindParameters(plan, args, now);
    const statement = { sql: plan.sql, args: parseJson(`[${values.map(encodeValue).join(',')}]`) };
    const scatter: Scatter = { session, known, demand, statement, held, seen: [] };
    if (isConcatenation(plan.merge)) {
      const answers = await gather(scatter, partitions, rowsTextOf);
      const columns = plan.merge.columns ?? answers[0]?.columns ?? [];
      const rows = answers.flatMap((answer) => (answer.rows === '' ? [] : [answer.rows])).join();
      return reply(columns, rows, partitions, scatter);
    }
    const answers = await gather(scatter, partitions, (text) => decode(text, held));
    const { columns, rows } = mergeAnswers(plan.merge, answers, args);
    return reply(columns, rows.map((row) => encodeRow(row)).join(), partitions, scatter);
  } catch (error) {
    if (!(error instanceof MergeError)) throw error;
    throw new AtollError(error.kind === 'unsupported' ? 'unsupported' : 'sql', error.message);
  } finally {
    held.release();
  }
}

interface Scatter {
  readonly session: Session;
  readonly known: KnownNetwork;
  readonly demand: ReadDemand;
  readonly statement: WireStatement;
  readonly held: AnswersHeld;
  /** What partitions have seen that have answered. */
  readonly seen: SessionToken[];
}

/**
 * Each partition may answer its share of the bound, so that all together stay within it wherever they hold what they
 * have not sent. Those that have more, since rows are spread unevenly, are asked once more one after another, for
 * up to all that the others have left.
 */
async function gather<Answer>(
  scatter: Scatter,
  partitions: readonly PartitionId[],
  read: (text: string) => Answer,
): Promise<Answer[]> {
  const { session, held } = scatter;
  session.database.metrics.fanOut.observe(partitions.length);
  const share = Math.floor(ANSWERS_BYTES_MAX / partitions.length);
  const answers = await fanOut(partitions, PARALLEL_MAX, async (partition, signal) => {
    const response = await ask(scatter, partition, share, signal).catch((error: unknown) => {
      if (error instanceof AtollError && error.code === 'result-too-large') return null;
      throw error;
    });
    return response === null ? null : { answer: await take(scatter, partition, response, read) };
  });
  const all: Answer[] = [];
  for (const [index, partition] of partitions.entries()) {
    const present = answers[index] ?? null;
    if (present === null) {
      const response = await ask(scatter, partition, held.left);
      all.push(await take(scatter, partition, response, read));
    } else all.push(present.answer);
  }
  return all;
}

function ask(
  { session, known, demand, statement }: Scatter,
  partition: PartitionId,
  answerBytesMax: number,
  signal?: AbortSignal,
): Promise<Response> {
  const statements = [statement];
  const work = { partition, shape: 'query', read: true, statements, answerBytesMax, demand } as const;
  return executeIn(session.database, known, work, { ...session.context, ...(signal && { signal }) });
}

async function take<Answer>(
  { held, seen }: Scatter,
  partition: PartitionId,
  response: Response,
  read: (text: string) => Answer,
): Promise<Answer> {
  const text = await held.read(response).catch((error: unknown) => {
    throw lostAnswer(error, partition, READ);
  });
  seen.push(sessionIn(text));
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
function rowsTextOf(text: string): { readonly columns: readonly string[]; readonly rows: string } {
  const name = text.indexOf(',"rows":[');
  const { columns } = JSON.parse(`${text.slice(0, name)}}`) as { columns: string[] };
  return { columns, rows: text.slice(name + ',"rows":['.length, text.lastIndexOf('],"rowsAffected":')) };
}

function reply(
  columns: readonly string[],
  rows: string,
  partitions: readonly PartitionId[],
  { known, demand, seen }: Scatter,
): Response {
  const body =
    `{"columns":${JSON.stringify(columns)},"rows":[${rows}],` +
    `"rowsAffected":0,"lastInsertRowid":null,${consistencyText(demand, 'per-partition')},` +
    `"plan":{"kind":"scatter","partitions":${JSON.stringify(partitions)}},` +
    `"session":"${sessionText(known, demand, seen)}"}`;
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}
