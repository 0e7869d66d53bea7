import type { PartitionId } from '../base/brand.ts';
import { AtollError, type ErrorDetail, type Outcome, toAtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import type { SessionToken } from '../protocol/session.ts';
import { executeIn, StaleNetworkError } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { ReadDemand } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import {
  combineResults,
  type Part,
  type PartResult,
  partsByPartition,
  placesOf,
  type RowPlaces,
  writeParts,
} from './parts.ts';
import { neededRole, type Planned, PlanRefusal } from './planned.ts';
import { sessionIn, sessionText } from './reply-session.ts';
import type { ClientRequest } from './request.ts';
import { spreads } from './spread.ts';
import type { Session } from './statements.ts';

/** Partitions written at a time (chosen: as for reads). */
const PARALLEL_MAX = 32;

/**
 * `atomicity:"partition"`: what belongs to one partition is atomic there; the partitions are independent of each
 * other, and run in parallel.
 */
export async function executePartial(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  planned: readonly Planned[],
): Promise<Response> {
  const instant = Date.now();
  const work = partsByPartition(planned, (each) =>
    partsOf(known, each, instant).map(([partition, statement]) => [partition, { statement }] as const),
  );
  const entries = [...work];
  const partitions = entries.map(([partition]) => partition);
  // One that fails does not end the others: what it leaves undone is told, by partition.
  const answers = await fanOut(entries, PARALLEL_MAX, ([partition, parts]) =>
    executeParts(session, known, request.demand, planned, partition, parts).then(
      (answer): Answer => answer,
      (error: unknown): Answer => ({ error }),
    ),
  );
  refuseIfAnyFailed(partitions, answers);
  const results = planned.map((each, index) => combine(index, entries, answers, placesOf(known, each)));
  const plan = `"plan":{"kind":"per-partition","partitions":${JSON.stringify(partitions)}}`;
  const body =
    request.shape === 'query' ? results.join() : `"results":[${results.map((each) => `{${each}}`).join()}]`;
  const seen = answers.flatMap((answer) => ('seen' in answer ? [answer.seen] : []));
  const token = `"session":"${sessionText(known, request.demand, seen)}"`;
  return new Response(`{${body},${plan},${token}}`, { headers: { 'content-type': 'application/json' } });
}

/** What one partition has answered, or why it has not. */
type Answer = Results | { readonly error: unknown };

interface Results {
  readonly results: readonly PartResult[];
  readonly seen: SessionToken;
}

async function executeParts(
  { database, context }: Session,
  known: KnownNetwork,
  demand: ReadDemand,
  planned: readonly Planned[],
  partition: PartitionId,
  parts: readonly Part[],
): Promise<Results> {
  const statements = parts.map(({ statement }) => statement);
  const read = parts.every(({ index }) => neededRole((planned[index] as Planned).plan) === 'read');
  const work = { partition, shape: 'batch', read, statements, demand } as const;
  const response = await executeIn(database, known, work, context);
  const text = await response.text();
  // Not `JSON.parse`, for which 1.0 is 1.
  return { results: (parseJson(text) as { results: PartResult[] }).results, seen: sessionIn(text) };
}

function partsOf(
  known: KnownNetwork,
  planned: Planned,
  instant: number,
): (readonly [PartitionId, WireStatement])[] {
  const { kind } = planned.plan;
  if (spreads(planned.plan)) {
    throw new PlanRefusal(
      'multi-partition-write',
      'it may write rows of other partitions: leave atomicity out, so that it is one transaction',
    );
  }
  if (kind === 'route' || kind === 'scatter-write') return writeParts(known, planned, instant);
  throw new PlanRefusal(
    'unsupported',
    `atomicity "partition" is for writes of partitioned tables; send this ${kind} by itself`,
  );
}

/** All or some failed: says which. Never "failed" where it is not known. */
function refuseIfAnyFailed(partitions: readonly PartitionId[], answers: readonly Answer[]): void {
  const failures = answers.flatMap((answer) => ('error' in answer ? [answer.error] : []));
  if (failures.length === 0) return;
  const nothingDone = failures.length === answers.length;
  const stale = failures.find((failure) => failure instanceof StaleNetworkError);
  if (nothingDone && failures.every((failure) => failure instanceof StaleNetworkError)) throw stale;
  const errors = failures.map(errorOf);
  const shown = errors.find(({ code }) => code !== 'stale') ?? (errors[0] as AtollError);
  const outcome: Outcome =
    nothingDone && errors.every((error) => error.outcome === 'none') ? 'none' : 'partial';
  const list = partitions.map((partition, index) => outcomeIn(partition, answers[index] as Answer));
  throw new AtollError(shown.code, shown.message, outcome, { partitions: list });
}

function outcomeIn(partition: PartitionId, answer: Answer): ErrorDetail {
  if ('results' in answer) return { partition, outcome: 'applied' };
  const { outcome, code, message } = errorOf(answer.error);
  return { partition, outcome, code, message };
}

function errorOf(failure: unknown): AtollError {
  if (failure instanceof StaleNetworkError) return new AtollError('stale', failure.message, 'none');
  return toAtollError(failure);
}

/** One statement's results from its partitions as the members of a JSON object. */
function combine(
  index: number,
  entries: readonly (readonly [PartitionId, readonly Part[]])[],
  answers: readonly Answer[],
  places: RowPlaces,
): string {
  const own = entries.flatMap(([partition, parts], entry) => {
    const answer = answers[entry] as Answer;
    return parts.flatMap((part, place) =>
      part.index === index && 'results' in answer
        ? [[partition, answer.results[place] as PartResult] as const]
        : [],
    );
  });
  return combineResults(own, [], places);
}
