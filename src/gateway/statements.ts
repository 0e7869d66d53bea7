import type { PartitionId } from '../base/brand.ts';
import { bindPin } from '../core/plan/bind.ts';
import { EXPLAIN_COLUMNS, explainPlan } from '../core/plan/explain.ts';
import type { ErrorCode } from '../protocol/error.ts';
import { AtollError, isErrorCode } from '../protocol/error.ts';
import type { SchemaChangeReply } from '../protocol/schema.ts';
import { authorize, type Principal } from './auth/principal.ts';
import { type CallContext, type Database, SYSTEM_PARTITION } from './database.ts';
import { executeIn, StaleNetworkError } from './execute.ts';
import type { KnownNetwork } from './known-network.ts';
import { executePartial } from './partial.ts';
import { dependsOnSchema, neededRole, type Planned, planClientStatement } from './planned.ts';
import type { ClientRequest } from './request.ts';
import { executeScatter } from './scatter.ts';

/** How often one request is planned anew because the network has changed under it (chosen). */
const PLANS_MAX = 5;

export interface Session {
  readonly database: Database;
  readonly principal: Principal;
  readonly context: CallContext;
}

/** Runs a client's statements: plans them, sends them where they belong, and answers. */
export async function runStatements(session: Session, request: ClientRequest): Promise<Response> {
  const { database, context } = session;
  let known = await database.network(context);
  let refreshed = false;
  for (let attempt = 1; ; attempt++) {
    const planned = request.statements.map((statement) => planClientStatement(statement, known));
    for (const { plan } of planned) authorize(session.principal, database.name, neededRole(plan));
    if (!refreshed && planned.some(({ plan }) => dependsOnSchema(plan))) {
      // Another router may have changed the schema since: ask before refusing.
      known = await database.refresh(context);
      refreshed = true;
      continue;
    }
    try {
      return await dispatch(session, known, request, planned);
    } catch (error) {
      if (!(error instanceof StaleNetworkError)) throw error;
      if (attempt === PLANS_MAX) {
        throw new AtollError('stale', 'the schema or the partitions keep changing; try again', 'none');
      }
      known = await database.network(context);
    }
  }
}

async function dispatch(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  planned: readonly Planned[],
): Promise<Response> {
  for (const [index, { plan }] of planned.entries()) {
    if (plan.kind === 'refused') throw refusal(plan.code, plan.message, request, index);
    if (plan.kind === 'transaction-control') throw refusal(plan.code, plan.message, request, index);
  }
  if (planned.every(({ plan }) => plan.kind === 'schema')) return changeSchema(session, request, planned);
  const [only] = planned;
  if (request.shape === 'query' && only !== undefined) {
    if (only.plan.kind === 'scatter') return executeScatter(session, known, only, only.plan);
    if (only.plan.kind === 'explain') return explain(only);
  }
  const home = commonPartition(known, planned);
  if (home.kind === 'one') {
    const work = {
      partition: home.partition,
      shape: request.shape,
      read: planned.every(({ plan }) => neededRole(plan) === 'read'),
      statements: request.statements,
    };
    return executeIn(session.database, known, work, session.context);
  }
  if (request.atomicity === 'partition') return executePartial(session, known, request, planned);
  throw home.error;
}

function refusal(code: string, message: string, request: ClientRequest, index: number): AtollError {
  const known: ErrorCode = isErrorCode(code) ? code : 'unsupported';
  const place = request.shape === 'batch' ? `statements[${index}]: ` : '';
  return new AtollError(known, place + message);
}

type Home =
  | { readonly kind: 'one'; readonly partition: PartitionId }
  | { readonly kind: 'none'; readonly error: AtollError };

/** Where a statement may run. */
type Place =
  | { readonly kind: 'partition'; readonly partition: PartitionId }
  /** Any partition but the system partition: it inserts rows whose key it generates. */
  | { readonly kind: 'data' }
  /**
   * Anywhere, since it reads reference tables only; alone, where they are written: copies take a write one after another,
   * and a client must not see it come and go.
   */
  | { readonly kind: 'reference' }
  | { readonly kind: 'any' }
  | { readonly kind: 'none'; readonly error: AtollError };

/** The one partition that runs all statements, if there is one. */
function commonPartition(known: KnownNetwork, planned: readonly Planned[]): Home {
  const places = planned.map((each) => placeOf(known, each));
  let home: PartitionId | null = null;
  for (const [index, place] of places.entries()) {
    const prefix = planned.length > 1 ? `statements[${index}]: ` : '';
    if (place.kind === 'none') {
      return { kind: 'none', error: new AtollError(place.error.code, prefix + place.error.message) };
    }
    if (place.kind !== 'partition') continue;
    home ??= place.partition;
    if (home !== place.partition) {
      const other = `it belongs to partition ${place.partition}, the statements before it to partition ${home}`;
      return { kind: 'none', error: apart(planned, prefix + other) };
    }
  }
  const generates = places.some((place) => place.kind === 'data');
  if (generates && home === SYSTEM_PARTITION) {
    return { kind: 'none', error: apart(planned, 'it writes a reference table and a partitioned one') };
  }
  if (home === null && !generates && places.some((place) => place.kind === 'reference'))
    home = SYSTEM_PARTITION;
  return { kind: 'one', partition: home ?? anyPartition(known) };
}

function apart(planned: readonly Planned[], why: string): AtollError {
  const writes = planned.some(({ plan }) => neededRole(plan) !== 'read');
  return new AtollError(
    writes ? 'multi-partition-write' : 'unsupported',
    `${why}: a batch runs in one partition until transactions span them; send one batch per partition key, or say ` +
      '"atomicity":"partition"',
  );
}

function placeOf(known: KnownNetwork, { plan, args }: Planned): Place {
  switch (plan.kind) {
    case 'route': {
      const bound = bindPin(plan.pin, args, known.tokens);
      if (bound.kind === 'one') return { kind: 'partition', partition: bound.partition };
      if (bound.kind === 'any') {
        if (plan.access === 'write') return { kind: 'data' };
        return { kind: plan.tables.reference.length > 0 ? 'reference' : 'any' };
      }
      return none(
        'multi-partition-write',
        `its rows belong to partitions ${bound.partitions.join(', ')}: insert the rows of one partition key at a time, ` +
          'or say "atomicity":"partition"',
      );
    }
    case 'reference-write':
    case 'system':
      return { kind: 'partition', partition: SYSTEM_PARTITION };
    case 'pragma':
      return { kind: 'any' };
    case 'scatter-write':
      return none('multi-partition-write', plan.message);
    case 'scatter':
      return none('unsupported', 'it reads several partitions: send it to /v1/query by itself');
    default:
      return none(
        'unsupported',
        `${plan.kind} statements cannot be batched with others: send them by themselves`,
      );
  }
}

function none(code: ErrorCode, message: string): Place {
  return { kind: 'none', error: new AtollError(code, message) };
}

let turn = 0;

/** Takes turns, so that work that may run anywhere is spread. */
function anyPartition(known: KnownNetwork): PartitionId {
  const partitions = known.tokens.partitions();
  turn = (turn + 1) % partitions.length;
  return partitions[turn] as PartitionId;
}

async function changeSchema(
  session: Session,
  request: ClientRequest,
  planned: readonly Planned[],
): Promise<Response> {
  const { database, context } = session;
  const statements = planned.map(({ statement, parsed }) => statement.sql.slice(parsed.start, parsed.end));
  const reply = await database
    .ask<SchemaChangeReply>(SYSTEM_PARTITION, 'schema-change', { statements }, context)
    .catch((error: unknown) => {
      if (error instanceof AtollError) throw error;
      throw new AtollError('unknown-outcome', 'the answer to the schema change was lost: look at /v1/schema');
    });
  await database.refresh(context);
  const result = { columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null };
  const plan = { kind: 'schema', ...reply };
  return Response.json(
    request.shape === 'query' ? { ...result, plan } : { results: planned.map(() => result), plan },
  );
}

function explain({ plan }: Planned): Response {
  const rows = explainPlan(plan).map(({ step, detail }) => [step, detail]);
  return Response.json({
    columns: EXPLAIN_COLUMNS,
    rows,
    rowsAffected: 0,
    lastInsertRowid: null,
    plan: { kind: 'explain' },
  });
}
