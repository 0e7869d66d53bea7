import type { PartitionId } from '../base/brand.ts';
import { bindPin, bindRows, bindTargets } from '../core/plan/bind.ts';
import { AtollError, type Outcome, toAtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { executeIn, StaleNetworkError } from './execute.ts';
import type { KnownNetwork } from './known-network.ts';
import { neededRole, type Planned } from './planned.ts';
import type { ClientRequest } from './request.ts';
import type { Session } from './statements.ts';

/** One statement's part in one partition. */
interface Part {
  /** Index of the client's statement. */
  readonly index: number;
  readonly statement: WireStatement;
}

interface PartResult {
  readonly columns: readonly string[];
  readonly rows: readonly unknown[];
  readonly rowsAffected: number;
  readonly lastInsertRowid: unknown;
}

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
  const work = new Map<PartitionId, Part[]>();
  planned.forEach((each, index) => {
    for (const [partition, statement] of partsOf(known, each)) {
      const parts = work.get(partition);
      if (parts === undefined) work.set(partition, [{ index, statement }]);
      else parts.push({ index, statement });
    }
  });
  const entries = [...work];
  const answers = await Promise.allSettled(
    entries.map(async ([partition, parts]) => {
      const statements = parts.map(({ statement }) => statement);
      const read = parts.every(({ index }) => neededRole((planned[index] as Planned).plan) === 'read');
      const response = await executeIn(
        session.database,
        known,
        { partition, shape: 'batch', read, statements },
        session.context,
      );
      return (await response.json()) as { results: PartResult[] };
    }),
  );
  refuseIfAnyFailed(
    entries.map(([partition]) => partition),
    answers,
  );
  const results = planned.map((_, index) =>
    combine(index, entries, answers as PromiseFulfilledResult<{ results: PartResult[] }>[]),
  );
  const plan = { kind: 'per-partition', partitions: entries.map(([partition]) => partition) };
  return Response.json(request.shape === 'query' ? { ...results[0], plan } : { results, plan });
}

function partsOf(known: KnownNetwork, planned: Planned): (readonly [PartitionId, WireStatement])[] {
  const { plan, args, statement } = planned;
  if (plan.kind === 'route') {
    const bound = bindPin(plan.pin, args, known.tokens);
    if (bound.kind === 'one') return [[bound.partition, statement]];
    if (bound.kind === 'any') return [[known.tokens.partitions()[0] as PartitionId, statement]];
    throw new AtollError(
      'unsupported',
      'insert the rows in separate statements: their keys cannot be taken apart here',
    );
  }
  if (plan.kind !== 'scatter-write') {
    throw new AtollError(
      'unsupported',
      `atomicity "partition" is for writes of partitioned tables; send this ${plan.kind} by itself`,
    );
  }
  if (!plan.perPartition.sound) throw new AtollError('multi-partition-write', plan.perPartition.message);
  if (plan.rows !== null) {
    return bindRows(plan.rows, args, known.tokens).map(({ partition, sql }) => [
      partition,
      { ...statement, sql },
    ]);
  }
  return bindTargets(plan.targets, args, known.tokens).map((partition) => [partition, statement]);
}

/** All or some failed: says which. Never "failed" where it is not known. */
function refuseIfAnyFailed(
  partitions: readonly PartitionId[],
  answers: readonly PromiseSettledResult<unknown>[],
): void {
  const failures = answers.flatMap((answer) =>
    answer.status === 'rejected' ? [answer.reason as unknown] : [],
  );
  const [first] = failures;
  if (first === undefined) return;
  const nothingDone = failures.length === answers.length;
  if (nothingDone && failures.every((failure) => failure instanceof StaleNetworkError)) throw first;
  const list = partitions.map((partition, index) => {
    const answer = answers[index] as PromiseSettledResult<unknown>;
    if (answer.status === 'fulfilled') return { partition, outcome: 'applied' };
    const error = answer.reason instanceof StaleNetworkError ? null : toAtollError(answer.reason);
    return {
      partition,
      outcome: error?.outcome ?? 'none',
      code: error?.code ?? 'stale',
      message: error?.message ?? answer.reason.message,
    };
  });
  const error = failures.find((failure) => failure instanceof AtollError) ?? toAtollError(first);
  const shown = error as AtollError;
  const certain =
    nothingDone &&
    failures.every(
      (failure) => failure instanceof StaleNetworkError || (failure as AtollError).outcome === 'none',
    );
  const outcome: Outcome = certain ? 'none' : 'partial';
  throw new AtollError(shown.code, shown.message, outcome, { partitions: list });
}

function combine(
  index: number,
  entries: readonly (readonly [PartitionId, readonly Part[]])[],
  answers: readonly PromiseFulfilledResult<{ results: PartResult[] }>[],
): PartResult {
  const own = entries.flatMap(([, parts], entry) =>
    parts.flatMap((part, place) =>
      part.index === index ? [answers[entry]?.value.results[place] as PartResult] : [],
    ),
  );
  return {
    columns: own[0]?.columns ?? [],
    rows: own.flatMap(({ rows }) => rows),
    rowsAffected: own.reduce((sum, { rowsAffected }) => sum + rowsAffected, 0),
    lastInsertRowid: own.at(-1)?.lastInsertRowid ?? null,
  };
}
