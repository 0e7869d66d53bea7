import type { Analyzer } from '../../sql/analysis/analyzer.ts';
import { anchorOfRows } from '../../sql/analysis/anchor.ts';
import type { CoreModel, SelectModel } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import type { Select } from '../../sql/ast.ts';
import type { RowLimit, ScatterPlan, Targets } from '../plan.ts';
import { Renderer } from '../renderer.ts';
import { planAggregate } from './aggregate.ts';
import { compile, NO_LEAVES } from './compile.ts';
import { planCompound } from './compound.ts';
import { refuseSplit, type Scattered, type ScatterQuestion } from './question.ts';
import { planWhole } from './whole.ts';

/**
 * One statement for each partition and a merge. Allowed only where the rows of FROM and WHERE fall apart by
 * partition key; then, as in Citus, what groups by the key is pushed whole, and the rest is split at the top:
 * aggregates into partial ones, DISTINCT, ORDER BY and LIMIT done again over all.
 */
export function planScatter(question: ScatterQuestion): ScatterPlan {
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
