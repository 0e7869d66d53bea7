import { present } from '../base/assert.ts';
import type { Timestamp } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import type { Plan } from '../core/plan/plan.ts';
import { AtollError } from '../protocol/error.ts';
import { executeIn } from './execute.ts';
import type { PastDemand, ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { lostAnswer, READ } from './lost.ts';
import { neededRole, type Planned } from './planned.ts';
import { sessionIn } from './reply-session.ts';
import { type ClientRequest, readMoment } from './request.ts';
import type { Session } from './statements.ts';

/** Whether a moment is named, by the request or by a statement's AS OF. */
export function readsPast({ past }: ReadDemand, planned: readonly Planned[]): boolean {
  return past !== null || planned.some(({ asOf }) => asOf !== null);
}

/**
 * A request that {@link readsPast}, with the moment that it is to be read as of, the same for all partitions; as it came, where nothing is run.
 *
 * @throws AtollError for what cannot be read as of a moment, and for a moment that is none
 */
export async function readingPast(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  planned: readonly Planned[],
): Promise<ClientRequest> {
  if (planned.some(({ plan }) => NOT_RUN.has(plan.kind))) return request;
  refuseWrites(request, planned);
  const at = momentOf(request, planned);
  const demand: ReadDemand = { ...request.demand, past: { at, feed: 0 } };
  if (!joinsReferences(planned)) return { ...request, demand };
  return { ...request, demand: { ...demand, past: await withReferences(session, known, demand, at) } };
}

/** What an answer of several partitions says of how they belong together: of the past they always do. */
export function consistencyText(
  { past }: ReadDemand,
  otherwise: 'strong' | 'per-partition' | 'at-commit',
): string {
  return past === null ? `"consistency":"${otherwise}"` : `"consistency":"snapshot","asOf":"${past.at}"`;
}

const NOT_RUN: ReadonlySet<Plan['kind']> = new Set(['refused', 'explain', 'transaction-control']);

function momentOf({ demand }: ClientRequest, planned: readonly Planned[]): Timestamp {
  const said = planned.flatMap(({ asOf, args }) => {
    if (asOf === null) return [];
    const { moment } = asOf;
    const value = moment.kind === 'literal' ? moment.value : (args[moment.index - 1] ?? null);
    return [readMoment('AS OF', typeof value === 'bigint' ? Number(value) : value)];
  });
  const [first] = said;
  if (demand.past !== null && first !== undefined) {
    throw new AtollError('bad-request', 'the request says asOf and its SQL says AS OF: say the moment once');
  }
  if (first !== undefined && (said.length < planned.length || said.some((moment) => moment !== first))) {
    throw new AtollError(
      'unsupported',
      'a batch is read as of one moment: say the same AS OF in all of its statements, or asOf for the batch',
    );
  }
  return present(demand.past?.at ?? first, 'a moment is named');
}

function refuseWrites({ shape }: ClientRequest, planned: readonly Planned[]): void {
  for (const [index, { plan }] of planned.entries()) {
    if (neededRole(plan) === 'read') continue;
    const prefix = shape === 'batch' ? `statements[${index}]: ` : '';
    throw new AtollError(
      'bad-request',
      `${prefix}asOf is for reads: leave it out of what writes or changes the schema`,
    );
  }
}

/** Reference rows are read together with partitioned ones, from the copies beside them. */
function joinsReferences(planned: readonly Planned[]): boolean {
  const tables = planned.flatMap(({ plan }) => (hasTables(plan) ? [plan.tables] : []));
  return (
    tables.some(({ reference }) => reference.length > 0) &&
    tables.some(({ partitioned }) => partitioned.length > 0)
  );
}

function hasTables(plan: Plan): plan is Plan & { kind: 'route' | 'scatter' } {
  return plan.kind === 'route' || plan.kind === 'scatter';
}

/**
 * How far the copies must have followed to have all that was written by then: what the system partition has when it has
 * passed the moment. Nothing that it writes afterwards is of that moment or before.
 */
async function withReferences(
  { database, context }: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  at: Timestamp,
): Promise<PastDemand> {
  const statements = [{ sql: 'SELECT 1' }];
  const work = { partition: SYSTEM_PARTITION, shape: 'query', read: true, statements, demand } as const;
  const response = await executeIn(database, known, work, context);
  const text = await response.text().catch((error: unknown) => {
    throw lostAnswer(error, SYSTEM_PARTITION, READ);
  });
  return { at, feed: sessionIn(text).system };
}
