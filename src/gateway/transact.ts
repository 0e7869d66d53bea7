import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { bindPin } from '../core/plan/bind.ts';
import { MergeError } from '../core/plan/evaluate/error.ts';
import { mergeAnswers } from '../core/plan/merge/merge.ts';
import type { Plan } from '../core/plan/plan.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../protocol/json-value.ts';
import type { StalePartition } from '../protocol/network.ts';
import type { RingRange, TransactionPart, TransactReply, TransactRequest } from '../protocol/transaction.ts';
import { ANSWERS_BYTES_MAX } from './answers-held.ts';
import { consistencyText } from './as-of.ts';
import { claimsOf, withClaims } from './claims.ts';
import { readError } from './database.ts';
import { executeIn, StaleNetworkError } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { ReadDemand } from './freshness.ts';
import { type GroupPart, gatheredParts } from './group-parts.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ, WRITE } from './lost.ts';
import { combineResults, type PartResult, partsByPartition, writeParts } from './parts.ts';
import { neededRole, type Planned, PlanRefusal } from './planned.ts';
import { refuseUseBeforeWrite } from './reference-order.ts';
import { sessionIn, sessionText } from './reply-session.ts';
import type { ClientRequest } from './request.ts';
import { scatterParts } from './scatter-parts.ts';
import { otherPartitions, refuseUseOfMoved, ringFor, ringOf, takesReferred } from './spread.ts';
import { NO_STAGE, running, type Stage } from './stage.ts';
import type { Session } from './statements.ts';
import { attemptId, untilItWins } from './wait-die.ts';

/** Partitions asked at a time (chosen: as for other reads). */
const PARALLEL_MAX = 32;

/**
 * Runs statements over several partitions as one transaction: all of them or none, and as if alone. The first partition
 * that is written coordinates; nothing of it is in this router. `stage`: where some of them run whatever their plans say.
 */
export async function executeTransaction(
  session: Session,
  known: KnownNetwork,
  request: Pick<ClientRequest, 'shape' | 'demand'>,
  planned: readonly Planned[],
  keyed: KeyedRequest | null,
  stage: Stage = NO_STAGE,
): Promise<Response> {
  const { database, context } = session;
  const startedMs = Date.now();
  const all = running(planned, stage);
  refuseUseOfMoved(known, all);
  refuseUseBeforeWrite(known, all);
  const claims = claimsOf(known, all, stage);
  const ring = claims === null ? ringFor(known, all) : ringOf(known);
  const turn = { instant: startedMs, keyed };
  const partsOfOne = (each: Planned) => {
    const at = stage.places.get(each);
    return at === undefined ? partsOf(known, each, all, turn) : ([[at, each.statement]] as const);
  };
  const work = [
    ...partsByPartition<Omit<GroupPart, 'index'>>(planned, (each) => {
      const gathered = stage.gathered.get(each);
      if (gathered !== undefined) return gatheredParts(gathered, partsOfOne);
      return partsOfOne(each).map(([partition, statement]) => [partition, { statements: [statement] }]);
    }),
  ];
  const own = work.map(([partition, each]) => {
    const visitors = stage.visitors.get(partition);
    return {
      ...transactionPart(known, planned, partition, each),
      ...(visitors !== undefined && { visitors }),
    };
  });
  const everywhere = claims !== null || all.some(({ plan }) => takesReferred(plan));
  const everybody = everywhere ? withIdle(known, own) : own;
  const parts = claims === null ? everybody : withClaims(everybody, claims);
  const anchor = anchorOf(known, planned, parts, keyed);
  // That nothing was there to be inserted is the answer to the key for good.
  const read = parts.every((part) => part.read) && (keyed === null || stage.gathered.size === 0);
  if (request.demand.past !== null) {
    const texts = await readParts(session, known, request.demand, parts);
    const replies = work.map(([partition], index) => ({ partition, reply: texts[index] ?? '' }));
    return transactionReply(known, { ...request, consistency: 'strong' }, planned, work, replies);
  }
  const tried = { anchor, read, parts, startedMs, keyed, ring };
  const replies = await untilItWins(database, context.deadline, () =>
    transactOnce(session, known, request, tried),
  );
  try {
    return transactionReply(known, { ...request, consistency: 'strong' }, planned, work, replies);
  } catch (error) {
    throw read ? error : committed(error);
  }
}

/**
 * The home of a key depends on the key alone: a retry meets its record there, however it is planned. But for reference tables, which are
 * written by the system partition whatever is written beside them.
 */
function anchorOf(
  known: KnownNetwork,
  planned: readonly Planned[],
  parts: readonly TransactionPart[],
  keyed: KeyedRequest | null,
): PartitionId {
  const writesCopies = (plan: Plan) =>
    plan.kind === 'reference-write' ||
    (plan.kind === 'gathered-insert' && plan.insert.kind === 'reference-write');
  if (planned.some(({ plan }) => writesCopies(plan))) return SYSTEM_PARTITION;
  if (keyed !== null) return known.tokens.partitionOf(keyed.token);
  return (parts.find((part) => !part.read) ?? parts[0])?.partition as PartitionId;
}

/** What was committed is, though its answer cannot be put together: a sum of all partitions is too large for an integer. */
function committed(error: unknown): unknown {
  if (!(error instanceof AtollError)) return error;
  const message = `the transaction is committed, but it cannot be answered: ${error.message}`;
  return new AtollError(error.code, message, 'unknown', error.detail ?? undefined);
}

/** As of one moment nobody has to be kept from writing. */
function readParts(
  { database, context }: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  parts: readonly TransactionPart[],
): Promise<readonly string[]> {
  const answerBytesMax = Math.floor(ANSWERS_BYTES_MAX / parts.length);
  return fanOut(parts, PARALLEL_MAX, async ({ partition, statements }, signal) => {
    const work = { partition, shape: 'batch', read: true, statements, answerBytesMax, demand } as const;
    const response = await executeIn(database, known, work, { ...context, signal });
    return response.text().catch((error: unknown) => {
      throw lostAnswer(error, partition, READ);
    });
  });
}

interface Attempted {
  readonly anchor: PartitionId;
  readonly read: boolean;
  readonly parts: readonly TransactionPart[];
  readonly startedMs: number;
  readonly keyed: KeyedRequest | null;
  readonly ring: readonly RingRange[] | undefined;
}

/** @throws StaleNetworkError, nothing applied: plan anew */
async function transactOnce(
  { database, context }: Session,
  known: KnownNetwork,
  { demand }: Pick<ClientRequest, 'demand'>,
  { anchor, read, parts, startedMs, keyed, ring }: Attempted,
): Promise<TransactReply['replies']> {
  const request: TransactRequest = {
    transaction: attemptId(),
    startedMs,
    schema: known.schema.version,
    system: Math.max(known.information.systemIndex, demand.session?.token.system ?? 0),
    parts,
    ...(keyed !== null && !read && { idempotency: keyed.idempotency }),
    ...(ring !== undefined && { ring }),
  };
  const effect = read ? READ : WRITE;
  const type = parts.some(({ groups }) => groups !== undefined) ? 'transact-groups' : 'transact';
  // A read too is another attempt when it is tried again, so it is not sent twice as it is.
  const response = await database
    .call(anchor, type, JSON.stringify(request), context)
    .catch((error: unknown) => {
      throw lostAnswer(error, anchor, effect);
    });
  if (response.ok) return ((await response.json()) as TransactReply).replies;
  if (response.status !== 421) throw lostAnswer(await readError(response), anchor, effect);
  const newer = (await response.json()) as StalePartition;
  database.metrics.retried('stale');
  if (database.learn(newer) === null) await database.refresh(context);
  throw new StaleNetworkError(`partition ${newer.partition} knows a newer network`);
}

/** What decides where statements run that may run anywhere: the same for a repeat under the same key. */
interface Turn {
  readonly instant: number;
  readonly keyed: KeyedRequest | null;
}

/** Where a statement's parts are, and what each runs. */
function partsOf(
  known: KnownNetwork,
  each: Planned,
  all: readonly Planned[],
  turn: Turn,
): readonly (readonly [PartitionId, WireStatement])[] {
  const { plan, args, statement } = each;
  const { instant } = turn;
  switch (plan.kind) {
    case 'scatter': {
      const parts = scatterParts(known, each, plan, instant);
      return parts.partitions.map((partition) => [partition, parts.statement]);
    }
    case 'route':
      if (bindPin(plan.pin, args, known.tokens).kind === 'any')
        return [[anywhere(known, each, all, turn), statement]];
      return writeParts(known, each, instant);
    case 'scatter-write':
      return writeParts(known, each, instant);
    case 'reference-write':
      return [[SYSTEM_PARTITION, statement]];
    default:
      throw new PlanRefusal(
        'unsupported',
        `${plan.kind} statements cannot be batched with others: send them by themselves`,
      );
  }
}

/** Reference tables are read where they are written; what has no rows yet goes where others are, or by its key or the time to one of all. */
function anywhere(
  known: KnownNetwork,
  { plan }: Planned,
  all: readonly Planned[],
  { instant, keyed }: Turn,
): PartitionId {
  if (plan.kind === 'route' && plan.access === 'read' && plan.tables.reference.length > 0)
    return SYSTEM_PARTITION;
  for (const other of all) {
    if (other.plan.kind !== 'route') continue;
    const bound = bindPin(other.plan.pin, other.args, known.tokens);
    if (bound.kind === 'one') return bound.partition;
  }
  if (keyed !== null) return known.tokens.partitionOf(keyed.token);
  const partitions = known.tokens.partitions();
  return partitions[instant % partitions.length] as PartitionId;
}

function transactionPart(
  known: KnownNetwork,
  planned: readonly Planned[],
  partition: PartitionId,
  parts: readonly GroupPart[],
): TransactionPart {
  const part = {
    partition,
    epoch: known.epochOf(partition),
    read: parts.every((each) => isRead(each, planned)),
    statements: parts.flatMap(({ statements }) => statements),
  };
  if (parts.every(({ statements, expects }) => statements.length === 1 && expects === undefined)) return part;
  return {
    ...part,
    groups: parts.map(({ statements, expects }) => ({
      count: statements.length,
      ...(expects !== undefined && { expects }),
    })),
  };
}

function isRead({ index, statements, expects }: GroupPart, planned: readonly Planned[]): boolean {
  const own = statements.length - (expects === undefined ? 0 : 1);
  return own === 0 || neededRole((planned[index] as Planned).plan) === 'read';
}

/** Every partition has a part, which may have to change something. */
function withIdle(known: KnownNetwork, parts: readonly TransactionPart[]): TransactionPart[] {
  const idle = otherPartitions(known, parts).map((partition) => transactionPart(known, [], partition, []));
  // No row of a partitioned table is in the system partition.
  return [...parts, ...idle].map((part) => ({
    ...part,
    read: part.partition === SYSTEM_PARTITION && part.read,
  }));
}

interface Together {
  /** `at-commit`: strong, if the transaction that the answer is of commits. */
  readonly consistency: 'strong' | 'at-commit';
}

/** The answer to a client, from those of its partitions to their parts. */
export function transactionReply(
  known: KnownNetwork,
  { shape, demand, consistency }: Pick<ClientRequest, 'shape' | 'demand'> & Together,
  planned: readonly Planned[],
  work: readonly (readonly [PartitionId, readonly Pick<GroupPart, 'index'>[]])[],
  replies: TransactReply['replies'],
): Response {
  // The first of each partition: later waves have no results.
  const byPartition = new Map(replies.toReversed().map((each) => [each.partition, each.reply]));
  const answers = work.map(([partition]) => {
    const text = byPartition.get(partition);
    if (text === undefined) throw new AtollError('idempotency-conflict', ELSEWHERE);
    // Not `JSON.parse`, for which 1.0 is 1.
    return (parseJson(text) as { results: PartResult[] }).results;
  });
  const results = planned.map((each, index) => {
    const own = work.flatMap(([, parts], at) =>
      parts.flatMap((part, place) => (part.index === index ? [answers[at]?.[place] as PartResult] : [])),
    );
    if (each.plan.kind === 'scatter') return merged(each, own);
    return combineResults(own, each.plan.kind === 'gathered-insert' ? each.plan.returning : []);
  });
  const body =
    shape === 'query' ? results.join() : `"results":[${results.map((each) => `{${each}}`).join()}]`;
  const partitions = JSON.stringify(work.map(([partition]) => partition));
  const token = sessionText(
    known,
    demand,
    replies.map((each) => sessionIn(each.reply)),
  );
  const kind = demand.past === null ? 'transaction' : 'scatter';
  return new Response(
    `{${body},${consistencyText(demand, consistency)},"plan":{"kind":"${kind}","partitions":${partitions}},"session":"${token}"}`,
    { headers: { 'content-type': 'application/json' } },
  );
}

const ELSEWHERE =
  'the request was applied under this key, while its tables were partitioned in another way: its answer cannot be put together again';

function merged({ plan, args }: Planned, own: readonly PartResult[]): string {
  if (plan.kind !== 'scatter') return '';
  try {
    const answers = own.map(({ columns, rows }) => ({ columns, rows: rows.map((row) => decodeRow(row)) }));
    const { columns, rows } = mergeAnswers(plan.merge, answers, args);
    const text = rows.map((row) => encodeRow(row)).join();
    return `"columns":${JSON.stringify(columns)},"rows":[${text}],"rowsAffected":0,"lastInsertRowid":null`;
  } catch (error) {
    if (!(error instanceof MergeError)) throw error;
    throw new AtollError(error.kind === 'unsupported' ? 'unsupported' : 'sql', error.message);
  }
}
