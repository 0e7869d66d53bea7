import { asciiLower } from '../base/ascii.ts';
import type { PartitionId } from '../base/brand.ts';
import type { SqlValue } from '../base/sql-value.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { timeText } from '../core/clock/moment.ts';
import { bindPin } from '../core/plan/bind.ts';
import { mergeAnswers } from '../core/plan/merge/merge.ts';
import { bindTimed } from '../core/plan/parameters.ts';
import type { GatheredInsertPlan, Plan } from '../core/plan/plan.ts';
import { fingerprintOfResult } from '../core/transaction/answer-fingerprint.ts';
import { AtollError, isErrorCode } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { encodeRow } from '../protocol/json-value.ts';
import { AnswersHeld } from './answers-held.ts';
import { earlierAnswer } from './earlier-answer.ts';
import { insertsOf } from './gathered-rows.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { mergeFailure } from './merge-failure.ts';
import { neededRole, type Planned, PlanRefusal, planText } from './planned.ts';
import type { ClientRequest } from './request.ts';
import { scatterParts } from './scatter-parts.ts';
import { decode, gather, rowsTextOf } from './scatter-round.ts';
import { changedInTheEnd, writesCopies } from './spread.ts';
import { type Gathered, type GatheredAnswer, NO_STAGE, running } from './stage.ts';
import { executeStaged, hasChanged } from './staged.ts';
import { stagedPlan } from './staged-together.ts';
import type { Session } from './statements.ts';
import { executeTransaction, recordedAnswer } from './transact.ts';
import { pauseAfterConflict } from './wait-die.ts';

/** How often rows are read in all, when others keep changing them (chosen). */
const ATTEMPTS_MAX = 20;
/** Texts of the INSERTs of one statement, characters (chosen: a message to an object may have 32 MiB). */
const TEXTS_LENGTH_MAX = 8 * 1024 * 1024;

/**
 * Runs statements some of which are INSERTs of rows that have to be read first: reads them, puts them together, and inserts them in a
 * transaction in which whoever was asked says that the answer is still the same (a validation of the read set, as in Kung,
 * Robinson, "On Optimistic Methods for Concurrency Control", 1981, under locks). If it is not, all is tried again.
 */
export async function executeGathered(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  planned: readonly Planned[],
  keyed: KeyedRequest | null,
): Promise<Response> {
  refuseReadOfWritten(planned);
  try {
    return await untilUnchanged({ session, known, request, keyed, instant: Date.now() }, planned);
  } catch (error) {
    // It cannot be read or inserted any more: that says nothing of an earlier request under this key.
    const isError = error instanceof AtollError && error.outcome === 'none';
    const earlier =
      isError && keyed !== null ? await recorded(session, known, request, planned, keyed) : null;
    if (earlier === null) throw error;
    return earlier;
  }
}

/** Reads, and inserts what was read, again while others come in between. */
async function untilUnchanged(asking: Asking, planned: readonly Planned[]): Promise<Response> {
  const { session, known, request, keyed, instant } = asking;
  /** What had been read when it was refused for its rows; empty: it could not be put together. */
  let violated: string | null = null;
  for (let attempt = 1; ; attempt++) {
    let there = '';
    try {
      const gathered = await gatherAll(asking, planned);
      there = JSON.stringify([...gathered.values()].map(({ reads }) => [...reads]));
      const stage = { ...NO_STAGE, gathered, instant };
      return await (running(planned, stage).some((each) => stagedPlan(each) !== null)
        ? executeStaged(session, known, request, planned, keyed, stage)
        : executeTransaction(session, known, request, planned, keyed, stage));
    } catch (error) {
      if (!hasChanged(error)) {
        // The rows that it is refused for may have been old ones, or of several moments.
        if (!isForRows(error) || violated === there) throw error;
        violated = there;
      }
      if (attempt === ATTEMPTS_MAX || !(await pauseAfterConflict(session, attempt))) throw error;
    }
  }
}

/** What a request with this key was answered; null: nothing was committed. */
async function recorded(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  planned: readonly Planned[],
  keyed: KeyedRequest,
): Promise<Response | null> {
  const gathered = new Map<Planned, Gathered>();
  for (const each of planned) {
    const { plan } = each;
    if (plan.kind !== 'gathered-insert') continue;
    gathered.set(each, { reads: new Map(), inserts: [], everywhere: everybody(known, plan) });
  }
  try {
    return await recordedAnswer(session, known, request, planned, keyed, { ...NO_STAGE, gathered });
  } catch (error) {
    if (!(error instanceof AtollError) || error.code !== 'not-found') throw error;
    return earlierAnswer(session, known, request, keyed);
  }
}

function isForRows(error: unknown): boolean {
  return (
    error instanceof AtollError &&
    error.outcome === 'none' &&
    (error.code === 'constraint' || error.code === 'sql')
  );
}

/**
 * Rows are read before any statement runs, and once more where their statement stands: there must be nothing in between.
 *
 * @throws PlanRefusal
 */
export function refuseReadOfWritten(planned: readonly Planned[]): void {
  for (const [at, { plan }] of planned.entries()) {
    if (plan.kind !== 'gathered-insert') continue;
    const { partitioned, reference } = plan.read.plan.tables;
    const read = new Set([...partitioned, ...reference].map(asciiLower));
    for (const [index, other] of planned.entries()) {
      if (index === at) continue;
      const written = index < at ? writtenBy(other.plan) : writtenEarly(other.plan);
      const name = written.find((each) => read.has(asciiLower(each)));
      if (name === undefined) continue;
      throw new PlanRefusal(
        'unsupported',
        `statements[${at}] reads "${name}" before any statement runs, and statements[${index}] may write it: send them in requests of their own`,
      );
    }
  }
}

/** Names of all tables that it writes, or may. */
function writtenBy(plan: Plan): readonly string[] {
  if (neededRole(plan) === 'read' || !('tables' in plan) || !('reaches' in plan)) return [];
  const { partitioned, reference } = (plan.kind === 'gathered-insert' ? plan.insert : plan).tables;
  return [...partitioned, ...reference, ...plan.reaches, ...changedInTheEnd(plan)];
}

/** Of a statement that stands behind: reference tables are written before anything else, and rows in the way of others have come from where they are. */
function writtenEarly(plan: Plan): readonly string[] {
  if (writesCopies(plan)) return writtenBy(plan);
  const own = plan.kind === 'gathered-insert' ? plan.insert : plan;
  return 'staged' in own && own.staged !== undefined ? [own.staged.table] : [];
}

interface Asking {
  readonly session: Session;
  readonly known: KnownNetwork;
  readonly request: ClientRequest;
  readonly keyed: KeyedRequest | null;
  /** Present time of the statements, Unix ms: the same in all attempts. */
  readonly instant: number;
}

async function gatherAll(
  asking: Asking,
  planned: readonly Planned[],
): Promise<ReadonlyMap<Planned, Gathered>> {
  const gathered = new Map<Planned, Gathered>();
  for (const each of planned) {
    const { plan } = each;
    if (plan.kind === 'gathered-insert') gathered.set(each, await gatherRows(asking, each, plan));
  }
  return gathered;
}

/** @throws PlanRefusal */
async function gatherRows(asking: Asking, planned: Planned, plan: GatheredInsertPlan): Promise<Gathered> {
  const { session, known, request, keyed } = asking;
  const { partitions, statement } = placeOfRead(asking, planned, plan);
  const held = new AnswersHeld();
  try {
    const demand = { ...request.demand, consistency: 'strong', past: null } as const;
    const round = { session, known, demand, partitions, statement, system: 0, held, seen: new Map() };
    const answers = await gather(round, (text) => ({ print: printOf(text), rows: decode(text, held) }));
    const merged = mergedRows(
      plan,
      answers.map(({ rows }) => rows),
      planned.args,
    );
    const { partitioned, reference } = plan.read.plan.tables;
    // What is of no table is what it was.
    const reads: [PartitionId, GatheredAnswer][] =
      partitioned.length + reference.length === 0
        ? []
        : partitions.map((partition, at) => [partition, { statement, expects: answers[at]?.print ?? '' }]);
    const inserts = insertsFor(known, planned, plan, merged);
    const nobody = reads.length === 0 && inserts.length === 0;
    return {
      reads: new Map(reads),
      inserts,
      everywhere: keyed !== null ? everybody(known, plan) : nobody ? partitions : [],
    };
  } finally {
    held.release();
  }
}

/** All that may have a part in it, whatever is read. */
function everybody({ tokens }: KnownNetwork, plan: GatheredInsertPlan): readonly PartitionId[] {
  const isSystems = writesCopies(plan) || plan.read.plan.tables.reference.length > 0;
  return [...(isSystems ? [SYSTEM_PARTITION] : []), ...tokens.partitions()];
}

interface PlaceOfRead {
  readonly partitions: readonly PartitionId[];
  readonly statement: WireStatement;
}

function placeOfRead(
  { known, keyed, instant }: Asking,
  { args }: Planned,
  { read }: GatheredInsertPlan,
): PlaceOfRead {
  const { plan, timed } = read;
  if (plan.kind === 'scatter') return scatterParts(known, { args }, plan, instant);
  const statement =
    timed === undefined
      ? statementOf(read.sql, args.slice(0, read.parameterCount))
      : statementOf(timed.sql, bindTimed(timed.parameters, args, timeText(instant)));
  const bound = bindPin(plan.pin, args, known.tokens);
  if (bound.kind === 'one') return { partitions: [bound.partition], statement };
  // Reference tables are read where they are written.
  if (plan.tables.reference.length > 0) return { partitions: [SYSTEM_PARTITION], statement };
  const all = known.tokens.partitions();
  const any = keyed === null ? all[instant % all.length] : known.tokens.partitionOf(keyed.token);
  return { partitions: [any as PartitionId], statement };
}

function statementOf(sql: string, args: readonly SqlValue[]): WireStatement {
  return { sql, args: parseJson(encodeRow(args)) };
}

function printOf(text: string): string {
  const { columns, rows } = rowsTextOf(text);
  return fingerprintOfResult({ columns, rows: `[${rows}]`, rowsAffected: 0, lastInsertRowid: null });
}

/** @throws AtollError where the rows cannot be put together */
function mergedRows(
  { read: { plan } }: GatheredInsertPlan,
  answers: Parameters<typeof mergeAnswers>[1],
  args: readonly SqlValue[],
): readonly (readonly SqlValue[])[] {
  if (plan.kind === 'route') return answers.flatMap(({ rows }) => rows);
  try {
    return mergeAnswers(plan.merge, answers, args).rows;
  } catch (error) {
    throw mergeFailure(error);
  }
}

/** @throws PlanRefusal */
export function insertsFor(
  known: KnownNetwork,
  { args }: Planned,
  plan: GatheredInsertPlan,
  rows: readonly (readonly SqlValue[])[],
): Planned[] {
  const inserts = insertsOf(plan, rows, args);
  if (inserts === null)
    throw new PlanRefusal('too-large', 'a row that it reads has too many large values: insert it by itself');
  const length = inserts.reduce((sum, each) => sum + each.sql.length + encodeRow(each.args).length, 0);
  if (length > TEXTS_LENGTH_MAX)
    throw new PlanRefusal(
      'too-large',
      `the ${rows.length} rows that it reads are too large for one transaction: insert fewer at a time`,
    );
  const all = inserts.map((insert) => {
    const planned = planText(insert.sql, known.schema);
    if (planned.plan.kind === 'refused') throw refusedRows(planned.plan);
    const each = { ...planned, statement: statementOf(insert.sql, insert.args), args: insert.args };
    if (inserts.length > 1 && stagedPlan(each) !== null)
      throw new PlanRefusal(
        'unsupported',
        `the ${rows.length} rows that it reads do not go into one statement, which looks for rows in its way: insert fewer at a time`,
      );
    return each;
  });
  if (all.length > 1 && all.some((each) => refersToItself(known, each)))
    throw new PlanRefusal(
      'too-large',
      `the ${rows.length} rows that it reads do not go into one statement, and may refer to each other: insert fewer at a time`,
    );
  return all;
}

/** Then foreign keys that are judged at the end of a statement are to be judged when all rows are there. */
function refersToItself({ schema }: KnownNetwork, { parsed: { statement } }: Planned): boolean {
  const name = statement.kind === 'insert' ? statement.table.name.name : '';
  return (
    schema.table(name)?.foreignKeys.some(({ parent }) => asciiLower(parent) === asciiLower(name)) ?? false
  );
}

function refusedRows({ code, message }: Extract<Plan, { kind: 'refused' }>): PlanRefusal {
  return new PlanRefusal(isErrorCode(code) ? code : 'unsupported', message);
}
