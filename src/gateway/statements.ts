import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { EXPLAIN_COLUMNS, explainPlan } from '../core/plan/explain.ts';
import type { Plan } from '../core/plan/plan.ts';
import { AtollError, type ErrorCode, isErrorCode } from '../protocol/error.ts';
import type { IdempotencyKey } from '../protocol/idempotency-key.ts';
import { readingPast, readsPast } from './as-of.ts';
import { authorize, type Principal } from './auth/principal.ts';
import { claimsOf } from './claims.ts';
import type { CallContext, Database } from './database.ts';
import { answerOfThen, earlierAnswer } from './earlier-answer.ts';
import { executeIn, StaleNetworkError } from './execute.ts';
import { refuseForeignSession } from './foreign-session.ts';
import { executeGathered } from './gathered.ts';
import { homeOf } from './home.ts';
import { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { executeLookup } from './lookup.ts';
import { executeLookupWrite } from './lookup-write.ts';
import { readPage, refuseForeignCursor } from './paging/paged-read.ts';
import { executePartial } from './partial.ts';
import { neededRole, type Planned, PlanRefusal, planClientStatement, refusesBySchema } from './planned.ts';
import { sessionText } from './reply-session.ts';
import type { ClientRequest } from './request.ts';
import { executeScatter } from './scatter.ts';
import { changeSchema, isSchemaChange } from './schema-change.ts';
import { spreads } from './spread.ts';
import { executeStaged } from './staged.ts';
import { stagedPlan } from './staged-together.ts';
import { executeTransaction } from './transact.ts';

/** How often one request is planned anew because the network has changed under it (chosen: a migration of as many steps goes by). */
const PLANS_MAX = 20;

/** Of one request that goes together with others (chosen). */
const COALESCED_STATEMENTS_MAX = 8;

export interface Session {
  readonly database: Database;
  readonly principal: Principal;
  readonly context: CallContext;
}

/** Has a read answered by another host, which the network names; null if none does. */
export type WayOut = (
  information: KnownNetwork['information'],
  context: CallContext,
) => Promise<Response | null>;

/** Runs a client's statements: plans them, sends them where they belong, and answers. */
export function runStatements(
  session: Session,
  request: ClientRequest,
  wayOut: WayOut | null = null,
): Promise<Response> {
  if (request.idempotencyKey === null) return runPlanned(session, request, null, wayOut);
  return runKeyed(session, request, request.idempotencyKey, wayOut);
}

async function runKeyed(
  session: Session,
  request: ClientRequest,
  key: IdempotencyKey,
  wayOut: WayOut | null,
): Promise<Response> {
  const keyed = await KeyedRequest.of(session, request, key);
  try {
    return await runPlanned(session, request, keyed, wayOut);
  } catch (error) {
    throw keyed.told(error);
  }
}

/** Plans anew as often as the network turns out to be another one. */
async function runPlanned(
  session: Session,
  request: ClientRequest,
  keyed: KeyedRequest | null,
  wayOut: WayOut | null,
): Promise<Response> {
  const { database, context } = session;
  const present = database.network(context);
  let known = present instanceof Promise ? await present : present;
  let newest = false;
  for (let attempt = 1; ; attempt++) {
    const planned = plan(session, known, request);
    try {
      refuseDuringRestore(known);
      refuseForeignSession(known, request.demand);
      refuseForeignCursor(known, request.page);
      if (!newest && planned.some((each) => refusesBySchema(each.plan))) throw new PlanRefusal('stale', '');
      const asked = readsPast(request.demand, planned)
        ? await readingPast(session, known, request, planned)
        : request;
      const direct = directHome(known, asked, keyed, planned);
      return await (direct === null
        ? dispatch(session, known, asked, keyed, planned)
        : executeAt(session, known, asked, planned, direct));
    } catch (error) {
      if (error instanceof PlanRefusal && !newest) {
        // Another router may have changed the schema since: ask before refusing.
        known = await database.refresh(context);
        newest = true;
        database.metrics.retried('refused');
      } else if (error instanceof StaleNetworkError) {
        if (attempt === PLANS_MAX) {
          throw new AtollError('stale', 'the schema or the partitions keep changing; try again', 'none');
        }
        known = await database.network(context);
      } else if (error instanceof PlanRefusal && keyed !== null) {
        keyed.checkAge();
        const earlier = await earlierAnswer(session, known, request, keyed);
        if (earlier === null) throw error;
        return earlier;
      } else {
        const other = maySomebodyElse(error, request, planned) ? wayOut : null;
        const answer = (await other?.(known.information, context)) ?? null;
        if (answer === null) throw error;
        database.metrics.retried('elsewhere');
        return answer;
      }
    }
  }
}

/** Whether a replica may answer what its partition's object could not be asked. */
function maySomebodyElse(error: unknown, { demand }: ClientRequest, planned: readonly Planned[]): boolean {
  if (!(error instanceof AtollError) || error.code !== 'unavailable') return false;
  const notStrong = demand.consistency !== 'strong' || readsPast(demand, planned);
  return notStrong && planned.every((each) => neededRole(each.plan) === 'read');
}

/** Partitions refuse it too; here the message comes before any about tables. */
function refuseDuringRestore({ schema }: KnownNetwork): void {
  if (schema.catalogue.restoring === undefined) return;
  throw new PlanRefusal('busy', 'a restore is under way: nothing else is served until it ends');
}

/** @throws AtollError for what no schema lets through: what does not parse, wrong arguments, a token that may not */
function plan({ database, principal }: Session, known: KnownNetwork, request: ClientRequest): Planned[] {
  const planned = request.statements.map((statement) => planClientStatement(statement, known));
  for (const each of planned) {
    authorize(principal, database.name, neededRole(each.plan));
    database.metrics.planned(each.plan);
  }
  return planned;
}

/** Where one statement runs as it is, without more; else null. Nearly every request is such a one, and takes the short way. */
function directHome(
  known: KnownNetwork,
  { shape, page }: ClientRequest,
  keyed: KeyedRequest | null,
  planned: readonly Planned[],
): PartitionId | null {
  const [only] = planned;
  if (only === undefined || shape !== 'query' || keyed !== null || page !== null) return null;
  const { plan } = only;
  if (plan.kind !== 'route' || spreads(plan) || stagedPlan(only) !== null) return null;
  return claimsOf(known, planned) === null ? homeOf(known, planned, null) : null;
}

/** In one partition, which answers the client. */
function executeAt(
  { database, context }: Session,
  known: KnownNetwork,
  { shape, demand }: ClientRequest,
  planned: readonly Planned[],
  partition: PartitionId,
  keyed: KeyedRequest | null = null,
): Promise<Response> {
  const read = planned.every(({ plan }) => neededRole(plan) === 'read');
  const statements = planned.map(({ statement }) => statement);
  const coalesces = mayCoalesce(planned, partition);
  const work = { partition, shape, read, statements, demand, whole: true, coalesces } as const;
  if (keyed === null || read) return executeIn(database, known, work, context);
  return keyed.settle(database, context, () => executeIn(database, known, { ...work, keyed }, context));
}

/** Those that go together are answered together: nobody is to wait for somebody else's work. */
function mayCoalesce(planned: readonly Planned[], partition: PartitionId): boolean {
  if (planned.length > COALESCED_STATEMENTS_MAX || !planned.every(({ quick }) => quick)) return false;
  const reads = planned.filter(({ plan }) => neededRole(plan) === 'read').length;
  // A read with a long answer is answered again by itself; a write is not done again. Writes of reference tables wait for freezes.
  return reads === planned.length || (reads === 0 && partition !== SYSTEM_PARTITION);
}

/** @throws PlanRefusal before anything is sent */
async function dispatch(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  keyed: KeyedRequest | null,
  planned: readonly Planned[],
): Promise<Response> {
  if (isSchemaChange(planned)) {
    if (keyed !== null) throw unkept('schema changes; after a lost answer, look at /v1/schema');
    return changeSchema(session, request, planned);
  }
  for (const [index, { plan }] of planned.entries()) {
    if (plan.kind === 'refused' || plan.kind === 'transaction-control') throw refusal(plan, request, index);
  }
  const [first] = planned;
  if (request.page !== null && first !== undefined) {
    const whole = { ...request, page: null };
    return readPage(session, known, request, first, () => dispatch(session, known, whole, keyed, planned));
  }
  const writes = planned.some(({ plan }) => neededRole(plan) !== 'read');
  if (writes && keyed !== null) {
    if (request.atomicity === 'partition') throw unkept('"atomicity":"partition"');
    keyed.checkAge();
    // Its record is where its plan of then has put it.
    if (known.mayHaveChangedSince(keyed.idempotency.issuedMs)) {
      const earlier = await answerOfThen(session, known, request, keyed, planned);
      if (earlier !== null) return earlier;
    }
  }
  const [only] = planned;
  if (planned.some(({ plan }) => plan.kind === 'gathered-insert')) {
    if (request.atomicity === 'partition') throw new PlanRefusal('multi-partition-write', GATHERED);
    const run = () => executeGathered(session, known, request, planned, keyed);
    return keyed === null ? run() : keyed.settle(session.database, session.context, run);
  }
  if (planned.some((each) => stagedPlan(each) !== null) && request.atomicity !== 'partition') {
    const run = () => executeStaged(session, known, request, planned, keyed);
    return keyed === null ? run() : keyed.settle(session.database, session.context, run);
  }
  if (request.shape === 'query' && only !== undefined) {
    if (only.plan.kind === 'scatter') {
      const found = await executeLookup(session, known, request.demand, only, only.plan);
      return found ?? executeScatter(session, known, request.demand, only, only.plan);
    }
    if (only.plan.kind === 'scatter-write' && keyed === null && request.atomicity !== 'partition') {
      const found = await executeLookupWrite(session, known, request.demand, only, only.plan);
      if (found !== null) return found;
    }
    if (only.plan.kind === 'explain') return explain(only, sessionText(known, request.demand, []));
  }
  const home = homeOf(known, planned, keyed?.token ?? null);
  const claims = claimsOf(known, planned) !== null;
  if (home !== null && !claims && !planned.some(({ plan }) => spreads(plan)))
    return executeAt(session, known, request, planned, home, keyed);
  if (claims && request.atomicity === 'partition') throw new PlanRefusal('needs-global-index', CLAIMS);
  if (request.atomicity === 'partition' && request.demand.past === null)
    return executePartial(session, known, request, planned);
  const transaction = () => executeTransaction(session, known, request, planned, writes ? keyed : null);
  return keyed === null || !writes
    ? transaction()
    : keyed.settle(session.database, session.context, transaction);
}

const GATHERED =
  'rows are read in some partitions and inserted in others, which is one transaction: leave atomicity out';

const CLAIMS =
  'rows are given ids in a table whose partition key is another one: all partitions are asked for them, so leave atomicity out';

/** What has no one partition to keep its record: a key would promise what is not kept. */
function unkept(what: string): AtollError {
  const message = `leave idempotencyKey out: it does not go yet with ${what}`;
  return new AtollError('unsupported', message, 'none', { field: 'idempotencyKey' });
}

function refusal(
  plan: Extract<Plan, { readonly code: string }>,
  request: ClientRequest,
  index: number,
): AtollError {
  const code: ErrorCode = isErrorCode(plan.code) ? plan.code : 'unsupported';
  const message = request.shape === 'batch' ? `statements[${index}]: ${plan.message}` : plan.message;
  return refusesBySchema(plan) ? new PlanRefusal(code, message) : new AtollError(code, message);
}

function explain({ plan }: Planned, session: string): Response {
  const rows = explainPlan(plan).map(({ step, detail }) => [step, detail]);
  return Response.json({
    columns: EXPLAIN_COLUMNS,
    rows,
    rowsAffected: 0,
    lastInsertRowid: null,
    plan: { kind: 'explain' },
    session,
  });
}
