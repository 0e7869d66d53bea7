import type { PartitionId } from '../base/brand.ts';
import type { PartitionRows } from '../core/plan/merge/merge.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow } from '../protocol/json-value.ts';
import type { SessionToken } from '../protocol/session.ts';
import { ANSWERS_BYTES_MAX, type AnswersHeld } from './answers-held.ts';
import { executeIn } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ } from './lost.ts';
import { sessionIn } from './reply-session.ts';
import type { Session } from './statements.ts';

/** Partitions asked at a time (chosen: as many connections and tasks as a request can well have). */
const PARALLEL_MAX = 32;

/** The same statement for several partitions. */
export interface Scatter {
  readonly session: Session;
  readonly known: KnownNetwork;
  readonly demand: ReadDemand;
  readonly partitions: readonly PartitionId[];
  readonly statement: WireStatement;
  /** How far partitions must have followed the system partition. */
  system: number;
}

/** One attempt. */
export interface Round extends Scatter {
  readonly held: AnswersHeld;
  /** What each partition has seen that has answered. */
  readonly seen: Map<PartitionId, SessionToken>;
}

/**
 * Each partition may answer its share of the bound, so that all together stay within it wherever they hold what they
 * have not sent. Those that have more, since rows are spread unevenly, are asked once more one after another, for
 * up to all that the others have left.
 */
export async function gather<Answer>(round: Round, read: (text: string) => Answer): Promise<Answer[]> {
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

export function decode(text: string, held: AnswersHeld): PartitionRows {
  const { columns, rows } = parseJson(text) as { columns: string[]; rows: unknown[][] };
  // One more for the row itself.
  held.takeValues(rows.length * (columns.length + 1));
  return { columns, rows: rows.map((row) => decodeRow(row)) };
}

/** The answer's columns, and its rows' JSON without the brackets. */
export interface RowsText {
  readonly columns: readonly string[];
  readonly rows: string;
}

/** The columns, and the rows' JSON without its brackets. In a string the quotes of these names would be escaped. */
export function rowsTextOf(text: string): RowsText {
  const name = text.indexOf(',"rows":[');
  const { columns } = JSON.parse(`${text.slice(0, name)}}`) as { columns: string[] };
  return { columns, rows: text.slice(name + ',"rows":['.length, text.lastIndexOf('],"rowsAffected":')) };
}
