import type { PartitionId } from '../base/brand.ts';
import type { SqlValue } from '../base/sql-value.ts';
import { timeText } from '../core/clock/moment.ts';
import { bindPin, bindRows, bindTargets, placesOfRows } from '../core/plan/bind.ts';
import { bindTimed } from '../core/plan/parameters.ts';
import type { ParameterSource } from '../core/plan/plan.ts';
import { parseStatement } from '../core/sql/parse.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, decodeValue, encodeRow, encodeValue } from '../protocol/json-value.ts';
import type { KnownNetwork } from './known-network.ts';
import { type Planned, PlanRefusal } from './planned.ts';

/** One statement's part in one partition. */
export interface Part {
  /** Index of the client's statement. */
  readonly index: number;
  readonly statement: WireStatement;
}

/** Of one statement in one partition; values as parseJson gives them. */
export interface PartResult {
  readonly columns: readonly string[];
  readonly rows: readonly unknown[][];
  readonly rowsAffected: number;
  readonly lastInsertRowid: unknown;
}

/** What each partition does for the statements, which keep their order there. */
export function partsByPartition<Own extends object>(
  planned: readonly Planned[],
  partsOf: (planned: Planned) => readonly (readonly [PartitionId, Own])[],
): Map<PartitionId, (Own & Pick<Part, 'index'>)[]> {
  const work = new Map<PartitionId, (Own & Pick<Part, 'index'>)[]>();
  planned.forEach((each, index) => {
    for (const [partition, own] of named(index, planned.length, () => partsOf(each))) {
      const parts = work.get(partition);
      const part = { ...own, index };
      if (parts === undefined) work.set(partition, [part]);
      else parts.push(part);
    }
  });
  return work;
}

/** A refusal says which of several statements it is of. */
function named<T>(index: number, count: number, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof PlanRefusal) || count === 1) throw error;
    throw new PlanRefusal(error.code, `statements[${index}]: ${error.message}`);
  }
}

/**
 * A write taken apart by partition, or a routed read. `instant`: the statement's present time, Unix ms.
 *
 * @throws PlanRefusal for what cannot be
 */
export function writeParts(
  known: KnownNetwork,
  { plan, args, statement }: Planned,
  instant: number,
): (readonly [PartitionId, WireStatement])[] {
  if (plan.kind === 'route') {
    const bound = bindPin(plan.pin, args, known.tokens);
    if (bound.kind === 'one') return [[bound.partition, statement]];
    if (bound.kind === 'any') return [[known.tokens.partitions()[0] as PartitionId, statement]];
    throw new PlanRefusal(
      'unsupported',
      'insert the rows in separate statements: their keys cannot be taken apart here',
    );
  }
  if (plan.kind !== 'scatter-write')
    throw new PlanRefusal('unsupported', `${plan.kind} statements run by themselves`);
  if (!plan.perPartition.sound) throw new PlanRefusal('multi-partition-write', plan.perPartition.message);
  const { rows, timed } = plan;
  if (rows !== null) {
    return bindRows(rows, args, known.tokens).map(({ partition, sql }) => [
      partition,
      rows.parameters === undefined ? partOf(sql, args) : timedPart(sql, rows.parameters, args, instant),
    ]);
  }
  const part = timed === undefined ? statement : timedPart(timed.sql, timed.parameters, args, instant);
  return bindTargets(plan.targets, args, known.tokens).map((partition) => [partition, part]);
}

function timedPart(
  sql: string,
  parameters: readonly ParameterSource[],
  args: readonly SqlValue[],
  instant: number,
): WireStatement {
  return partOf(sql, bindTimed(parameters, args, timeText(instant)));
}

/** Some rows of an INSERT, whose parameters kept their numbers: those behind its last one are not its own. */
function partOf(sql: string, args: readonly SqlValue[]): WireStatement {
  const own = args.slice(0, parseStatement(sql).parameterCount);
  return { sql, args: parseJson(`[${own.map(encodeValue).join()}]`) };
}

/** Which of a statement's rows each partition has, in their order; null: nobody knows. */
export type RowPlaces = ReadonlyMap<PartitionId, readonly number[]> | null;

export function placesOf(known: KnownNetwork, { plan, args }: Planned): RowPlaces {
  if (plan.kind !== 'scatter-write' || plan.rows === null) return null;
  return placesOfRows(plan.rows, args, known.tokens);
}

/**
 * One statement's results from its partitions as the members of a JSON object. Partitions that have inserted none of its rows name no
 * columns; `columns`: where none does. With `places`, rows come in the statement's order, if none is missing, and the last of the
 * rows that were inserted names itself, as in SQLite.
 */
export function combineResults(
  results: readonly (readonly [PartitionId, PartResult])[],
  columns: readonly string[] = [],
  places: RowPlaces = null,
): string {
  const own = results.map(([, result]) => result);
  const rows = rowsInOrder(results, places).map((row) => encodeRow(decodeRow(row)));
  const rowsAffected = own.reduce((sum, result) => sum + result.rowsAffected, 0);
  const id = encodeValue(decodeValue(lastInserted(results, places)));
  return (
    `"columns":${JSON.stringify(own.find((each) => each.columns.length > 0)?.columns ?? columns)},"rows":[${rows.join()}],` +
    `"rowsAffected":${rowsAffected},"lastInsertRowid":${id}`
  );
}

function rowsInOrder(
  results: readonly (readonly [PartitionId, PartResult])[],
  places: RowPlaces,
): readonly (readonly unknown[])[] {
  const isWhole =
    results.length > 1 &&
    results.every(
      ([partition, { rows }]) => rows.length > 0 && rows.length === places?.get(partition)?.length,
    );
  if (!isWhole) return results.flatMap(([, { rows }]) => rows);
  const placed = results.flatMap(([partition, { rows }]) =>
    rows.map((row, at) => [places?.get(partition)?.[at] ?? 0, row] as const),
  );
  return placed.sort(([a], [b]) => a - b).map(([, row]) => row);
}

function lastInserted(results: readonly (readonly [PartitionId, PartResult])[], places: RowPlaces): unknown {
  const inserting = results.filter(([, { lastInsertRowid }]) => lastInsertRowid !== null);
  const lastPlace = ([partition]: readonly [PartitionId, unknown]) => places?.get(partition)?.at(-1) ?? -1;
  const last = inserting.reduce<(typeof inserting)[number] | undefined>(
    (found, each) => (found === undefined || lastPlace(each) >= lastPlace(found) ? each : found),
    undefined,
  );
  return last?.[1].lastInsertRowid ?? null;
}
