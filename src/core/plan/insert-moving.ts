import { definesConflicts } from '../schema/conflict-clause.ts';
import type { Analyzer } from '../sql/analysis/analyzer.ts';
import { Refusal, refuse } from '../sql/analysis/refusal.ts';
import { triggerStatement } from '../sql/analysis/view.ts';
import type { InsertModel } from '../sql/analysis/write.ts';
import { hasConflictClause } from '../sql/conflict-clause.ts';
import { inEachPartition } from './each-partition.ts';
import { whyVolatile } from './instant.ts';
import { pinOf } from './pin.ts';
import type { Plan, RoutePlan } from './plan.ts';
import { colocated } from './tables.ts';

/** What any INSERT's plan says beside where its rows go. */
export type InsertBase = Pick<RoutePlan, 'tables' | 'reaches' | 'indexes' | 'acts' | 'staged' | 'ids'>;

/** Whether the rows may belong to other partitions than those that make them, and why the plan is as it is. */
type Rows = Pick<RoutePlan, 'moves' | 'reason'>;

/**
 * An INSERT whose rows have partition keys that nobody knows before it runs: computed ones, or those that a SELECT reads. It runs where what
 * it reads is, and its rows are created where they belong in the same transaction, as those of an UPDATE of the partition key
 * (core/replica/escapes.ts). `refusal`: why they are not known. Refused with it is what would need rows of the other partition while it runs.
 */
export function planMoving(
  analyzer: Analyzer,
  model: InsertModel,
  base: InsertBase,
  sql: string,
  refusal: Refusal,
): Plan {
  const why = whyNotMoving(analyzer, model, base);
  if (why !== null) throw new Refusal(refusal.code, `${refusal.message}; ${why}`);
  const rows = {
    moves: [model.table.name],
    reason: 'the rows go to the partitions of their keys once they are made',
  };
  return whereItReads(analyzer, model, base, sql, rows) ?? refuseWhole(model);
}

/** An INSERT … SELECT whose rows have generated ids for their partition key, which belong to the partition that generates them. */
export function planGenerating(analyzer: Analyzer, model: InsertModel, base: InsertBase, sql: string): Plan {
  const rows = { reason: 'the partitions that insert generate the keys' };
  return whereItReads(analyzer, model, base, sql, rows) ?? refuseWhole(model);
}

/** What it reads has to be put together from several partitions first. */
function refuseWhole({ table, source }: InsertModel): never {
  const why = source?.anchor.kind === 'none' ? source.anchor.why : 'subqueries read other partitions';
  return refuse(
    'unsupported',
    `INSERT into "${table.name}": each row must be made of rows of one partition, but ${why}`,
  );
}

/** In any partition, in that of the one key which it reads, or in each with its own rows. Null: in none of these ways. */
function whereItReads(
  analyzer: Analyzer,
  model: InsertModel,
  base: InsertBase,
  sql: string,
  rows: Rows,
): Plan | null {
  const { uses, graph } = analyzer;
  const write = { kind: 'route', access: 'write', ...base, ...rows } as const;
  if (uses.length === 0)
    return { ...write, pin: rows.moves === undefined ? { kind: 'generated' } : { kind: 'any' } };
  const pinned = pinOf(uses, graph);
  if (pinned?.tuples.length === 1) return { ...write, pin: { kind: 'key', ...pinned, generatesNull: false } };
  return fallsApart(analyzer, model) ? insertInEach(analyzer, model, base, sql, rows) : null;
}

/** Whether the rows are the disjoint union of those that each partition would select. */
export function fallsApart({ uses }: Analyzer, { source }: InsertModel): boolean {
  const [first] = uses;
  if (source === null || first === undefined || source.anchor.kind === 'none') return false;
  return uses.every((use) => source.uses.includes(use)) && colocated(first.classes, uses);
}

/** Each partition inserts what its own rows give. */
export function insertInEach(
  analyzer: Analyzer,
  { ast }: InsertModel,
  base: InsertBase,
  sql: string,
  rows: Rows,
): Plan {
  const pinned = pinOf(analyzer.uses, analyzer.graph);
  return { ...inEachPartition(ast, sql, pinned, whyNotPerPartition(analyzer)), ...base, ...rows };
}

function whyNotPerPartition(analyzer: Analyzer): string | null {
  // The SELECT itself is one deep.
  const volatile = whyVolatile(analyzer, 2);
  if (volatile !== null) return volatile;
  return analyzer.strayAggregate ? "an aggregate over the outer query's rows inside a subquery" : null;
}

/** Why rows must not be made in another partition than theirs: SQLite would look there for what is not there. */
function whyNotMoving({ schema }: Analyzer, { table, ast }: InsertModel, { ids }: InsertBase): string | null {
  const elsewhere = 'may be in another partition than the one that makes it';
  if (hasConflictClause(ast) || definesConflicts(table))
    return `without knowing it, the row in the way of one ${elsewhere}: leave the conflict clause out`;
  const trigger = schema.triggersOn(table.name).find((each) => triggerStatement(each).event === 'INSERT');
  if (trigger !== undefined)
    return `without knowing it, what the trigger "${trigger.name}" is about ${elsewhere}`;
  const parent = table.foreignKeys.find(
    (each) => schema.table(each.parent)?.placement.kind === 'partitioned',
  );
  if (parent !== undefined)
    return `without knowing it, the row of "${parent.parent}" that a row refers to ${elsewhere}`;
  return ids === undefined
    ? null
    : 'the ids that it gives are those of rows in partitions that are not known: leave the id out where one is to be generated';
}
