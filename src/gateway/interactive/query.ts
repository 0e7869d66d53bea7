import { present } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { fingerprint } from '../../core/log/fingerprint.ts';
import { bindPin } from '../../core/plan/bind.ts';
import type { GatheredInsertPlan } from '../../core/plan/plan.ts';
import { quoteName } from '../../core/sqlite/quote.ts';
import { AtollError, isErrorCode } from '../../protocol/error.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import {
  type InteractiveAnswer,
  type InteractivePart,
  type InteractiveReply,
  type InteractiveStatement,
  type InteractiveStep,
  type StatementName,
  wireError,
} from '../../protocol/interactive.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { ANSWERS_BYTES_MAX } from '../answers-held.ts';
import { authorize } from '../auth/principal.ts';
import { readBody } from '../body.ts';
import type { Call } from '../call.ts';
import { type Claims, claimsOf, withClaims } from '../claims.ts';
import { refuseForeignSession } from '../foreign-session.ts';
import type { KnownNetwork } from '../known-network.ts';
import { READ } from '../lost.ts';
import { writeParts } from '../parts.ts';
import { neededRole, type Planned, PlanRefusal, planClientStatement } from '../planned.ts';
import { copiesIn } from '../reference-order.ts';
import { sessionText } from '../reply-session.ts';
import { scatterParts } from '../scatter-parts.ts';
import { logIfSlow } from '../slow.ts';
import { otherPartitions, ringFor, ringOf } from '../spread.ts';
import { placeOfStage, soughtBy } from '../staged.ts';
import { type Looking, stagedPlan } from '../staged-together.ts';
import { transactionReply } from '../transaction-reply.ts';
import { insertingReplies, insertWithin, NO_ROWS } from './gathered.ts';
import { type Addressed, addressed, askKeeper, messageTo } from './keeper-call.ts';
import { readStatement, type StatementRequest } from './request.ts';
import { type Found, visitorsWithin } from './visitors.ts';

/** `POST /v1/transactions/{id}/query` */
export async function queryInteractive(call: Call): Promise<Response> {
  const principal = await call.principal();
  const request = readStatement(parseJson(await readBody(call.request)));
  const session = { database: call.database, principal, context: call.context(request.timeoutMs) };
  try {
    return await runStatement(await addressed(session, call.parameter('id')), request);
  } finally {
    logIfSlow(call, { statements: [request.statement] });
  }
}

/** `lookingFor`: of a read of rows in the way of that statement. @throws RepeatedStatement */
async function runStatement(
  addressee: Addressed,
  request: StatementRequest,
  lookingFor?: StatementName,
): Promise<Response> {
  refuseForeignSession(addressee.known, request.demand);
  let transaction = addressee;
  let { planned, step, looking } = planStep(transaction, request);
  if (step.kind === 'refused' && planned !== null) {
    // Another router may have changed the schema since. If so, the transaction must be begun anew with that.
    const { database, context } = transaction.session;
    transaction = { ...transaction, known: await database.refresh(context) };
    ({ planned, step, looking } = planStep(transaction, request));
  }
  const name = nameOf(request);
  const readFirst = (statement: WireStatement) =>
    runStatement(transaction, { ...request, seq: undefined, statement }, name);
  try {
    if (planned?.plan.kind === 'gathered-insert')
      ({ step, looking } = await stepOfGathered(transaction, request, planned, planned.plan, readFirst));
    if (step.kind === 'run' && looking !== undefined) {
      const found = await visitorsWithin(transaction.known, looking, readFirst);
      step = lookingEverywhere(transaction.known, looking, step, found);
    }
  } catch (error) {
    if (!(error instanceof RepeatedStatement)) throw error;
    return shown(transaction, request, planned, step, error.answer);
  }
  const message: InteractiveStatement = {
    ...messageTo(transaction, request),
    ...name,
    step,
    ...(lookingFor !== undefined && { lookingFor }),
  };
  const reply = await askKeeper<InteractiveReply>(transaction, 'interactive-statement', message, READ);
  if (reply.kind === 'repeated') throw new RepeatedStatement(reply.answer);
  return shown(transaction, request, planned, step, reply);
}

/** Instead of the rows in the way of a statement: it was answered before. */
class RepeatedStatement {
  readonly answer: InteractiveAnswer;

  constructor(answer: InteractiveAnswer) {
    this.answer = answer;
  }
}

/** What the client is told of a statement. @throws AtollError that the keeper has answered */
function shown(
  { known }: Addressed,
  { seq, demand }: StatementRequest,
  planned: Planned | null,
  step: InteractiveStep,
  answer: InteractiveAnswer,
): Response | Promise<Response> {
  if (answer.kind === 'error') {
    const { code, message: text, detail } = answer.error;
    // `seq`: what was answered under it will not be answered otherwise.
    throw new AtollError(code, text, 'none', {
      ...detail,
      transaction: 'open',
      ...(seq !== undefined && { seq }),
    });
  }
  const asked = { shape: 'query', demand, consistency: 'at-commit' } as const;
  if (planned?.plan.kind === 'gathered-insert' && answer.kind === 'answers') {
    const inserting = insertingReplies(answer.replies);
    const work = inserting.map(({ partition }) => [partition, [{ index: 0 }]] as const);
    return transactionReply(known, asked, [planned], work, inserting);
  }
  if (step.kind !== 'run' || planned === null) {
    return Response.json({ ...DONE, session: sessionText(known, demand, []) });
  }
  // What has only looked for ids has nothing to say.
  const own = step.parts.filter((part) => !isLooking(part));
  const work = own.map((part) => [part.partition, [{ index: 0, statement: part.statement }]] as const);
  const replies = own.map(({ partition }, index) => ({
    partition,
    reply: answer.replies[index] ?? '',
  }));
  return transactionReply(known, asked, [planned], work, replies);
}

/** The answer to what changes nothing by itself. */
const DONE = {
  columns: [],
  rows: [],
  rowsAffected: 0,
  lastInsertRowid: null,
  consistency: 'at-commit',
  plan: { kind: 'transaction', partitions: [] },
};

interface Step {
  readonly planned: Planned | null;
  readonly step: InteractiveStep;
  /** The rows in its way are to be looked for before. */
  readonly looking?: Looking;
}

/** What the keeper is asked to do. A refusal is one of the transaction's answers, and goes by the keeper too. */
function planStep(transaction: Addressed, { statement, demand }: StatementRequest): Step {
  const { session, known } = transaction;
  const { database, principal } = session;
  let planned: Planned | null = null;
  try {
    planned = planClientStatement(statement, known);
    database.metrics.planned(planned.plan);
  } catch (error) {
    return { planned, step: refused(error) };
  }
  authorize(principal, database.name, neededRole(planned.plan));
  // Its rows are read before anything else is known of it.
  if (planned.plan.kind === 'gathered-insert') return { planned, step: runOf([]) };
  return { planned, ...stepOf(transaction, planned, demand) };
}

function runOf(parts: readonly InteractivePart[]): InteractiveStep {
  return { kind: 'run', system: 0, parts };
}

/** A refusal is one of the transaction's answers. */
function stepOf(
  transaction: Addressed,
  planned: Planned,
  demand: StatementRequest['demand'],
): Pick<Step, 'step' | 'looking'> {
  const { known } = transaction;
  try {
    const savepoint = savepointOf(planned);
    if (savepoint !== null) return { step: savepoint };
    const looking = lookingOf(known, planned);
    const parts = partsOf(transaction, planned, looking);
    const system = Math.max(known.information.systemIndex, demand.session?.token.system ?? 0);
    // Rows that are looked for come from anywhere, and go back there.
    const ring = looking === undefined ? ringFor(known, [planned]) : ringOf(known);
    const step: InteractiveStep = {
      kind: 'run',
      system,
      parts,
      ...(ring !== undefined && { ring }),
      copies: copiesIn(known, planned),
    };
    return { step, ...(looking !== undefined && { looking }) };
  } catch (error) {
    return { step: refused(error) };
  }
}

/** @throws RepeatedStatement */
async function stepOfGathered(
  transaction: Addressed,
  { demand }: StatementRequest,
  planned: Planned,
  plan: GatheredInsertPlan,
  read: (statement: WireStatement) => Promise<Response>,
): Promise<Pick<Step, 'step' | 'looking'>> {
  const { known, keeper } = transaction;
  let insert: Planned | null;
  try {
    insert = await insertWithin(known, planned, plan, read);
  } catch (error) {
    if (!(error instanceof PlanRefusal)) throw error;
    return { step: refused(error) };
  }
  if (insert !== null) return stepOf(transaction, insert, demand);
  const nobody = { partition: keeper, epoch: known.epochOf(keeper), read: true, statement: NO_ROWS };
  return { step: runOf([nobody]) };
}

function refused(error: unknown): InteractiveStep {
  if (!(error instanceof AtollError)) throw error;
  return { kind: 'refused', error: wireError(error) };
}

function savepointOf({ plan, parsed: { statement } }: Planned): InteractiveStep | null {
  if (plan.kind !== 'transaction-control') return null;
  if (statement.kind === 'savepoint') return { kind: 'savepoint', name: statement.name.name };
  if (statement.kind === 'release') return { kind: 'release', name: statement.name.name };
  if (statement.kind === 'rollback' && statement.savepoint !== null)
    return { kind: 'rollback-to', name: statement.savepoint.name };
  const instead = {
    begin: 'the transaction has begun already: SAVEPOINT marks a place in it',
    commit: 'end the transaction with POST /v1/transactions/{id}/commit',
    rollback: 'end the transaction with POST /v1/transactions/{id}/rollback, or go back to a savepoint',
  };
  throw new AtollError('unsupported', instead[plan.action as keyof typeof instead]);
}

/** @throws PlanRefusal */
function lookingOf(known: KnownNetwork, each: Planned): Looking | undefined {
  const plan = stagedPlan(each);
  if (plan === null) return undefined;
  const place = placeOfStage(known, each, plan, null, Date.now());
  return { each, plan, place, sought: soughtBy(known, each, plan, place) };
}

function partsOf(transaction: Addressed, planned: Planned, looking: Looking | undefined): InteractivePart[] {
  const { known } = transaction;
  const placed =
    looking === undefined ? placesOf(transaction, planned) : ([[looking.place, planned.statement]] as const);
  const read = neededRole(planned.plan) === 'read';
  const share = Math.floor(ANSWERS_BYTES_MAX / placed.length);
  const parts = placed.map(([partition, statement]) => ({
    partition,
    epoch: known.epochOf(partition),
    read,
    statement,
    ...(placed.length > 1 && { answerBytesMax: share }),
  }));
  // What looks for rows in its way claims the ids that it has not met.
  const claims = looking === undefined ? claimsOf(known, [planned]) : null;
  return claims === null ? parts : withLooking(known, parts, claims);
}

/** With what was found in its way; all partitions are asked for ids that were not. */
function lookingEverywhere(
  known: KnownNetwork,
  { each, place }: Looking,
  step: InteractiveStep & { readonly kind: 'run' },
  { visitors, met }: Found,
): InteractiveStep {
  const parts = step.parts.map((part) => ({ ...part, visitors }));
  try {
    const claims = claimsOf(known, [each], { places: new Map([[each, place]]), met });
    return { ...step, parts: claims === null ? parts : withLooking(known, parts, claims) };
  } catch (error) {
    return refused(error);
  }
}

/** Behind the parts that give ids, those of all other partitions, which are to have none of them. */
function withLooking(
  known: KnownNetwork,
  parts: readonly InteractivePart[],
  claims: Claims,
): InteractivePart[] {
  const statement = { sql: lookingFor(known, claims) };
  const looking = otherPartitions(known, parts).map((partition): InteractivePart => {
    return { partition, epoch: known.epochOf(partition), read: true, statement };
  });
  return withClaims([...parts, ...looking], claims);
}

/** Which the commit repeats where rows of the table have come meanwhile. */
function lookingFor({ schema }: KnownNetwork, claims: Claims): string {
  return [...claims]
    .map(([table, ids]) => {
      const { name, rowidColumn } = present(schema.stored.get(table), 'a table of the plan');
      const column = quoteName(present(rowidColumn, 'a table that is given ids has them'));
      const list = ids.size === 0 ? 'NULL' : [...ids.keys()].join(', ');
      return `SELECT ${column} FROM ${quoteName(name)} WHERE ${column} IN (${list})`;
    })
    .join(' UNION ALL ');
}

function isLooking({ read, ids }: InteractivePart): boolean {
  return read && ids !== undefined;
}

/** Where the statement runs, and what runs there. @throws AtollError for what a transaction cannot have */
function placesOf(
  { known, keeper }: Addressed,
  planned: Planned,
): readonly (readonly [PartitionId, WireStatement])[] {
  const { plan, args, statement, asOf } = planned;
  const instant = Date.now();
  if (asOf !== null) throw unsupported('the past is read');
  switch (plan.kind) {
    case 'scatter': {
      const { partitions, statement: part } = scatterParts(known, planned, plan, instant);
      return partitions.map((partition) => [partition, part]);
    }
    case 'route':
      if (bindPin(plan.pin, args, known.tokens).kind !== 'any') return writeParts(known, planned, instant);
      // Reference tables are read where they are written.
      if (plan.access === 'read' && plan.tables.reference.length > 0) return [[SYSTEM_PARTITION, statement]];
      return [[keeper, statement]];
    case 'scatter-write':
      return writeParts(known, planned, instant);
    case 'refused':
      throw new AtollError(isErrorCode(plan.code) ? plan.code : 'unsupported', plan.message);
    case 'reference-write':
      if (plan.referring !== undefined)
        throw unsupported(`rows that ${plan.referring.join(', ')} may refer to are taken away`);
      return [[SYSTEM_PARTITION, statement]];
    case 'schema':
      throw unsupported('the schema is changed');
    default:
      throw unsupported(`${plan.kind} statements run`);
  }
}

function unsupported(what: string): AtollError {
  return new AtollError(
    'unsupported',
    `${what} outside of interactive transactions only: send the statement to /v1/query; this transaction goes on without it`,
  );
}

function nameOf({ seq, statement: { sql, args } }: StatementRequest): StatementName {
  if (seq === undefined) return { hash: '' };
  return { seq, hash: fingerprint(new TextEncoder().encode(JSON.stringify([sql, args]))) };
}
