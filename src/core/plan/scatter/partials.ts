import type { Collation } from '../../schema/table.ts';
import type { CoreModel } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import type { ExpressionClass } from '../../sql/analysis/value-class.ts';
import type { Expression, FunctionCall } from '../../sql/ast.ts';
import type { Fold } from '../plan.ts';
import type { Renderer } from '../renderer.ts';
import { fingerprint } from './fingerprint.ts';

/** What the partials need to know of their query. */
export interface PartialContext {
  readonly core: CoreModel;
  readonly renderer: Renderer;
  readonly classOf: (expression: Expression) => ExpressionClass;
  /** The argument is the partition key, so that its distinct values are disjoint. */
  readonly isKey: (expression: Expression) => boolean;
}

/**
 * The columns that each partition computes, and how they fold into the aggregates. Group columns come first;
 * then, if an aggregate is DISTINCT, the column by which partial rows are grouped besides.
 */
export class Partials {
  /** SQL of each partial column. */
  readonly columns: string[] = [];
  readonly folds: Fold[] = [];
  /** How many of the columns the partition groups by. */
  readonly groups: number;
  /** Slots before those of the folds. */
  readonly #keys: number;
  readonly #context: PartialContext;
  readonly #known = new Map<string, number>();
  readonly #distinct: { column: number; print: string } | null;

  /** `groups`: SQL of the group columns. */
  constructor(groups: readonly string[], context: PartialContext) {
    this.#context = context;
    this.columns.push(...groups);
    this.#keys = groups.length;
    this.#distinct = this.#distinctColumn();
    this.groups = this.columns.length;
  }

  get hasDistinct(): boolean {
    return this.#distinct !== null;
  }

  /** The slot that has an aggregate's result. */
  aggregate(call: FunctionCall): number {
    const print = fingerprint(call, this.#context.core.scope);
    const known = this.#known.get(print);
    if (known !== undefined) return known;
    const slot = this.#keys + this.folds.push(this.#fold(call)) - 1;
    this.#known.set(print, slot);
    return slot;
  }

  /** The slot of an expression that is taken from one row of the group: the extreme's (a slot) or any. */
  carry(expression: Expression, of: number | null, rows: number | null): number {
    const { core, renderer } = this.#context;
    const print = `carry ${of} ${fingerprint(expression, core.scope)}`;
    const known = this.#known.get(print);
    if (known !== undefined) return known;
    const column = this.#column(renderer.expression(expression, core.scope));
    const fold: Fold = { kind: 'carry', column, of: of === null ? null : of - this.#keys, rows };
    const slot = this.#keys + this.folds.push(fold) - 1;
    this.#known.set(print, slot);
    return slot;
  }

  /** A partial column that counts the rows behind a partial row. */
  rowCount(): number {
    const at = this.columns.indexOf('count(*)');
    return at >= 0 ? at : this.#column('count(*)');
  }

  #column(sql: string): number {
    return this.columns.push(sql) - 1;
  }

  #fold(call: FunctionCall): Fold {
    const name = call.function;
    const [argument] = call.arguments;
    if (call.orderBy !== null) unsplittable(call, 'with ORDER BY');
    if (name === 'count' && argument === undefined)
      return { kind: 'count', column: this.#call('count', call) };
    if (argument === undefined || call.arguments.length !== 1) return unsplittable(call, '');
    if (name === 'min' || name === 'max') {
      const collation = this.#collation(argument);
      return { kind: 'extreme', want: name, column: this.#call(name, call), collation };
    }
    if (name !== 'count' && name !== 'sum' && name !== 'total' && name !== 'avg') {
      return unsplittable(call, 'depends on the order of rows');
    }
    if (call.distinct && this.#distinct !== null) {
      const { column } = this.#distinct;
      return { kind: 'distinct', of: name, column, collation: this.#collation(argument) };
    }
    if (name === 'sum') return { kind: 'sum', column: this.#sum(call) };
    if (name !== 'avg') return { kind: name, column: this.#call(name, call) };
    return { kind: 'average', total: this.#call('total', call), count: this.#call('count', call) };
  }

  #call(name: string, call: FunctionCall): number {
    return this.#column(this.#callText(name, call));
  }

  /** sum() is NULL over no values, and also over infinities of both signs: that is told apart by a text. */
  #sum(call: FunctionCall): number {
    const [sum, count] = [this.#callText('sum', call), this.#callText('count', call)];
    return this.#column(`coalesce(${sum}, CASE WHEN ${count} THEN 'nan' END)`);
  }

  /** `name` with the call's arguments and FILTER. */
  #callText(name: string, call: FunctionCall): string {
    const { core, renderer } = this.#context;
    const args = call.star
      ? '*'
      : call.arguments.map((argument) => renderer.expression(argument, core.scope)).join(', ');
    const distinct = call.distinct ? 'DISTINCT ' : '';
    const filter =
      call.filter === null ? '' : ` FILTER (WHERE ${renderer.expression(call.filter, core.scope)})`;
    return `${name}(${distinct}${args})${filter}`;
  }

  #collation(argument: Expression): Collation {
    return this.#context.classOf(argument).collation ?? 'BINARY';
  }

  /**
   * DISTINCT aggregates over the partition key need nothing: its values are disjoint. Otherwise all must be over one
   * expression, and the partial rows are grouped by it.
   */
  #distinctColumn(): { column: number; print: string } | null {
    const { core, renderer, isKey } = this.#context;
    const calls = core.aggregates.filter(
      ({ distinct, function: name }) => distinct && name !== 'min' && name !== 'max',
    );
    if (calls.every((call) => call.arguments[0] !== undefined && isKey(call.arguments[0]))) return null;
    let found: { column: number; print: string } | null = null;
    for (const call of calls) {
      const [argument] = call.arguments;
      if (argument === undefined) continue;
      if (call.filter !== null) unsplittable(call, 'DISTINCT with FILTER');
      const print = fingerprint(argument, core.scope);
      if (found !== null && found.print !== print)
        unsplittable(call, 'a second DISTINCT over another expression');
      found ??= { column: this.#column(renderer.expression(argument, core.scope)), print };
    }
    return found;
  }
}

function unsplittable(call: FunctionCall, why: string): never {
  return refuse(
    'unsupported',
    `${call.function}() over several partitions${why === '' ? '' : `: ${why}`}. Restrict the partition key to one value, or group by it`,
  );
}
