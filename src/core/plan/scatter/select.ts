import type { Analyzer } from '../../sql/analysis/analyzer.ts';
import { anchorOfRows } from '../../sql/analysis/anchor.ts';
import type { CoreModel, SelectModel } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import type { ParsedStatement, Select } from '../../sql/ast.ts';
import type { Pinned } from '../pin.ts';
import type { Merge, Plan, RowLimit, Tables, Targets } from '../plan.ts';
import { planAggregate } from './aggregate.ts';
import { compile, NO_LEAVES } from './compile.ts';
import { planCompound } from './compound.ts';
import { Renderer } from './renderer.ts';
import { planWhole } from './whole.ts';

export interface ScatterQuestion {
  readonly parsed: ParsedStatement;
  readonly select: Select;
  readonly sql: string;
  readonly analyzer: Analyzer;
  readonly model: SelectModel;
  readonly pinned: Pinned | null;
  readonly tables: Tables;
}

/** What the shapes of a scatter (whole, aggregate, compound) give. */
export interface Scattered {
  readonly sql: string;
  readonly merge: Merge;
  readonly reason: string;
}

/** SQLite allows 100 columns in workerd; one is kept free. */
export const MAX_COLUMNS = 99;

/**
 * One statement for each partition and a merge. Allowed only where the rows of FROM and WHERE fall apart by partition key; then, as in
 * Citus, what groups by the key is pushed whole, and the rest is split at the top: aggregates into partial ones, DISTINCT, ORDER
 * BY and LIMIT done again over all.
 */
export function planScatter(question: ScatterQuestion): Plan {
  const { model, analyzer, sql, pinned, tables } = question;
  refuseVolatile(analyzer);
  const renderer = new Renderer(sql);
  const scattered = shapeOf(question, renderer, model);
  const targets: Targets = pinned === null ? { kind: 'all' } : { kind: 'keys', ...pinned };
  return {
    kind: 'scatter',
    targets,
    sql: scattered.sql,
    parameters: renderer.parameters,
    merge: scattered.merge,
    tables,
    reason: scattered.reason,
  };
}

function shapeOf(question: ScatterQuestion, renderer: Renderer, model: SelectModel): Scattered {
  const limit = limitOf(question.select);
  if (model.cores.length > 1) return planCompound(question, renderer, limit);
  const [core] = model.cores as [CoreModel];
  const rows = anchorOfRows({ ...core, graph: question.analyzer.graph });
  if (rows.kind === 'none') refuseSplit(question, rows.why);
  if (core.anchor.kind !== 'none') return planWhole(question, renderer, core, limit, false);
  if (core.windows.length > 0) refuseSplit(question, core.anchor.why);
  if (core.ast.kind === 'select-core' && (core.ast.groupBy !== null || core.aggregates.length > 0)) {
    return planAggregate(question, renderer, core, limit);
  }
  return planWhole(question, renderer, core, limit, true);
}

export function refuseSplit({ tables }: ScatterQuestion, why: string): never {
  const names = tables.partitioned.map((name) => `"${name}"`).join(', ');
  return refuse(
    'unsupported',
    `this cannot be answered from several partitions yet: ${why}. Restrict the partition keys of ${names} to one value, or join and group by them`,
  );
}

/** random() for each row may run in the partitions; what SQLite evaluates once for the statement may not. */
function refuseVolatile(analyzer: Analyzer): void {
  if (analyzer.randomDepths.some((depth) => depth > 1)) {
    refuse('unsupported', 'random() in a subquery over several partitions: pass its value as a parameter');
  }
  if (analyzer.clockInView) {
    refuse(
      'unsupported',
      'a view that reads the clock over several partitions: pass the time as a parameter to a query of its own',
    );
  }
  if (analyzer.strayAggregate) {
    refuse(
      'unsupported',
      "an aggregate over the outer query's rows inside a subquery, over several partitions",
    );
  }
}

export function limitOf(select: Select): RowLimit | null {
  if (select.limit === null) return null;
  const { count, offset } = select.limit;
  return {
    count: compile(count, NO_LEAVES),
    offset: offset === null ? null : compile(offset, NO_LEAVES),
  };
}

export function checkWidth(width: number): void {
  if (width > MAX_COLUMNS) {
    refuse(
      'unsupported',
      `${width} columns with those for sorting and partial results: at most ${MAX_COLUMNS}`,
    );
  }
}
