import type { Collation } from '../../schema/table.ts';
import { anchorOfRows, firmNode, holdsKey } from '../../sql/analysis/anchor.ts';
import { isAggregate } from '../../sql/analysis/functions.ts';
import { type CoreModel, withoutAliases } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import { resolveColumn } from '../../sql/analysis/resolve.ts';
import { childrenOf } from '../../sql/analysis/walk.ts';
import type { Expression, Node, SelectCore } from '../../sql/ast.ts';
import type { RowLimit, Scalar, SortKey } from '../plan.ts';
import type { Renderer } from '../renderer.ts';
import { compile, type Leaves } from './compile.ts';
import { fingerprint } from './fingerprint.ts';
import { Partials } from './partials.ts';
import { checkWidth, type Scattered, type ScatterQuestion } from './question.ts';
import { sortKey, sortTarget } from './sort.ts';
import { collationsOf, withText } from './whole.ts';

/**
 * Partial aggregates in each partition, grouped by the same expressions; folded, filtered by HAVING, projected and
 * sorted at the router.
 */
export function planAggregate(
  question: ScatterQuestion,
  renderer: Renderer,
  core: CoreModel,
  limit: RowLimit | null,
): Scattered {
  const ast = core.ast as SelectCore;
  checkAggregates(ast);
  const planner = new AggregatePlanner(question, renderer, core, ast);
  const project = core.outputs.map((output) => {
    if (output.expression === null)
      return refuse('unsupported', '* in a query with aggregates or GROUP BY, over several partitions');
    return planner.compile(output.expression, false);
  });
  const having = ast.having === null ? null : planner.compile(ast.having, true);
  const order: SortKey[] = [];
  for (const term of question.model.orderBy) {
    const target = sortTarget(term, core.outputs, core.scope);
    if (target.kind === 'output') {
      const collation = target.collate ?? core.outputs[target.index]?.collation ?? 'BINARY';
      order.push(sortKey(term, target.index, collation));
      continue;
    }
    if (ast.distinct)
      refuse(
        'unsupported',
        'SELECT DISTINCT with ORDER BY something that is not selected, over several partitions',
      );
    order.push(sortKey(term, project.length, planner.collationOf(target.expression)));
    project.push(planner.compile(target.expression, true));
  }
  const { columns, folds } = planner.partials;
  checkWidth(columns.length);
  return {
    sql: planner.sql(),
    merge: {
      columns: core.outputs.map((output) => output.name),
      width: core.outputs.length,
      sorted: false,
      aggregate: { group: planner.groupCollations, folds, having, project },
      distinct: ast.distinct ? collationsOf(core) : null,
      order,
      limit,
    },
    reason:
      ast.groupBy === null
        ? 'partial aggregates of each partition are folded'
        : 'partial groups of each partition are grouped again',
  };
}

class AggregatePlanner {
  readonly partials: Partials;
  readonly groupCollations: readonly Collation[];
  readonly #question: ScatterQuestion;
  readonly #renderer: Renderer;
  readonly #core: CoreModel;
  readonly #ast: SelectCore;
  readonly #groups: readonly Expression[];
  /** Fingerprints of the group expressions, with and without COLLATE. */
  readonly #slots = new Map<string, number>();

  constructor(question: ScatterQuestion, renderer: Renderer, core: CoreModel, ast: SelectCore) {
    this.#question = question;
    this.#renderer = renderer;
    this.#core = core;
    this.#ast = ast;
    this.#groups = (ast.groupBy ?? []).map((expression) => this.#groupExpression(expression));
    this.#groups.forEach((expression, slot) => {
      for (const e of [expression, withoutCollate(expression)]) {
        const print = fingerprint(e, core.scope);
        if (!this.#slots.has(print)) this.#slots.set(print, slot);
      }
    });
    this.groupCollations = this.#groups.map((expression) => this.collationOf(expression));
    if (this.#groups.some(containsSubquery))
      refuse('unsupported', 'GROUP BY a subquery over several partitions');
    if (question.analyzer.randomDepths.length > 0) {
      refuse('unsupported', 'random() together with aggregates over several partitions');
    }
    const groups = this.#groups.map((expression) => renderer.expression(expression, core.scope));
    this.partials = new Partials(groups, {
      core,
      renderer,
      classOf: (expression) => this.#question.analyzer.classOf(expression, core.scope),
      isKey: (expression) => this.#isKey(expression),
    });
  }

  collationOf(expression: Expression): Collation {
    return this.#question.analyzer.classOf(expression, this.#core.scope).collation ?? 'BINARY';
  }

  /** An expression over the groups. `aliases`: names of result columns are known there. */
  compile(expression: Expression, aliases: boolean): Scalar {
    const scope = aliases ? this.#core.scope : withoutAliases(this.#core.scope);
    const leaves: Leaves = {
      leaf: (inner) => this.#leaf(inner, aliases),
      classOf: (inner) => this.#question.analyzer.classOf(inner, scope),
    };
    return compile(expression, leaves);
  }

  /** What each partition runs. */
  sql(): string {
    const { columns, groups } = this.partials;
    const { from, where } = this.#ast;
    const renderer = this.#renderer;
    const items = columns.length > 0 ? columns : ['1'];
    let sql = `${withText(this.#question, renderer)}SELECT ${items.join(', ')}`;
    if (from !== null) sql += ` FROM ${renderer.piece(from, from, null)}`;
    if (where !== null) sql += ` WHERE ${renderer.expression(where, this.#core.scope)}`;
    const places = Array.from({ length: groups }, (_, i) => i + 1);
    return places.length === 0 ? sql : `${sql} GROUP BY ${places.join(', ')}`;
  }

  #leaf(expression: Expression, aliases: boolean): Scalar | null {
    const { scope } = this.#core;
    const slot = this.#slots.get(fingerprint(expression, aliases ? scope : withoutAliases(scope)));
    if (slot !== undefined) return { kind: 'slot', index: slot };
    if (expression.kind === 'function' && isAggregate(expression)) {
      return { kind: 'slot', index: this.partials.aggregate(expression) };
    }
    if (expression.kind === 'column') {
      const resolved = resolveColumn(expression, aliases ? scope : withoutAliases(scope));
      if (resolved.kind === 'alias') return this.compile(resolved.expression, false);
      if (resolved.kind === 'truth') return { kind: 'constant', value: resolved.value ? 1n : 0n };
      if (resolved.kind === 'text') return { kind: 'constant', value: resolved.value };
    }
    if (expression.kind === 'literal' || expression.kind === 'parameter') return null;
    if (containsAggregate(expression) || (aliases && this.#namesAggregate(expression))) return null;
    return this.#fromPartition(expression);
  }

  /** Whether a name in it is that of a result column with an aggregate. */
  #namesAggregate(node: Node): boolean {
    if (node.kind === 'select') return false;
    if (node.kind !== 'column') return childrenOf(node).some((child) => this.#namesAggregate(child));
    const resolved = resolveColumn(node, this.#core.scope);
    return resolved.kind === 'alias' && containsAggregate(resolved.expression);
  }

  /** An expression without aggregates: the partition computes it, from a row of the group. */
  #fromPartition(expression: Expression): Scalar | null {
    if (containsSubquery(expression)) {
      return refuse(
        'unsupported',
        'a subquery beside aggregates over several partitions: ask for it by itself',
      );
    }
    const kind = this.#columnsOf(expression);
    if (kind === 'none') {
      // No rows, no partial rows: a constant must not depend on them.
      if (this.partials.hasDistinct && this.#groups.length === 0) return null;
      return { kind: 'slot', index: this.partials.carry(expression, null, null) };
    }
    if (kind === 'group') return { kind: 'slot', index: this.partials.carry(expression, null, null) };
    const extremes = this.#core.aggregates.filter(({ function: f }) => f === 'min' || f === 'max');
    const prints = new Set(extremes.map((call) => fingerprint(call, this.#core.scope)));
    const [extreme] = extremes;
    if (extreme === undefined || prints.size !== 1) {
      const why =
        prints.size > 1
          ? 'with several min() or max() it could be of either row'
          : 'any row of the group could give it';
      return refuse(
        'unsupported',
        `a column that is neither grouped by nor aggregated, over several partitions: ${why}`,
      );
    }
    const of = this.partials.aggregate(extreme);
    const rows = this.#groups.length === 0 ? this.partials.rowCount() : null;
    return { kind: 'slot', index: this.partials.carry(expression, of, rows) };
  }

  /** Which columns an expression names: none, only those grouped by, or others as well. */
  #columnsOf(expression: Expression): 'none' | 'group' | 'bare' {
    let found: 'none' | 'group' | 'bare' = 'none';
    const visit = (node: Node): void => {
      if (node.kind === 'column') {
        const resolved = resolveColumn(node, this.#core.scope);
        if (resolved.kind === 'text' || resolved.kind === 'truth') return;
        if (!this.#slots.has(fingerprint(node, this.#core.scope))) found = 'bare';
        else if (found === 'none') found = 'group';
        return;
      }
      for (const child of childrenOf(node)) visit(child);
    };
    visit(expression);
    return found;
  }

  #groupExpression(expression: Expression): Expression {
    const { outputs, scope } = this.#core;
    if (expression.kind === 'literal' && expression.type === 'integer') {
      const output = outputs[Number(expression.value) - 1];
      if (output === undefined) {
        refuse('syntax', `GROUP BY term out of range - should be between 1 and ${outputs.length}`);
      }
      return output.expression ?? refuse('unsupported', 'GROUP BY a position of *, over several partitions');
    }
    if (expression.kind !== 'column') return expression;
    const resolved = resolveColumn(expression, scope);
    return resolved.kind === 'alias' && resolved.depth === 0 ? resolved.expression : expression;
  }

  #isKey(expression: Expression): boolean {
    const { graph } = this.#question.analyzer;
    const rows = anchorOfRows({ ...this.#core, graph });
    if (rows.kind !== 'nodes' || rows.nodes.length !== 1) return false;
    return holdsKey([firmNode(expression, this.#core.scope)], rows.nodes, graph);
  }
}

/** Without GROUP BY, an aggregate among the result columns is what makes a query one with aggregates. */
function checkAggregates(ast: SelectCore): void {
  if (ast.groupBy !== null || ast.columns.some(containsAggregate)) return;
  refuse('syntax', ast.having === null ? 'misuse of aggregate' : 'HAVING clause on a non-aggregate query');
}

function withoutCollate(expression: Expression): Expression {
  return expression.kind === 'collate' ? withoutCollate(expression.operand) : expression;
}

function containsAggregate(node: Node): boolean {
  if (node.kind === 'function' && isAggregate(node)) return true;
  return childrenOf(node).some(containsAggregate);
}

function containsSubquery(node: Node): boolean {
  return node.kind === 'select' || childrenOf(node).some(containsSubquery);
}
