import { asksForNow, currentTimeEdit, isTimeValue, leftOutTimeEdit } from '../sql/analysis/clock.ts';
import type { Scope } from '../sql/analysis/model.ts';
import { withoutAliases } from '../sql/analysis/model.ts';
import { resolveColumn } from '../sql/analysis/resolve.ts';
import { childrenOf } from '../sql/analysis/walk.ts';
import type { Expression, FunctionCall, Node, Parameter, Span } from '../sql/ast.ts';
import type { ParameterSource } from './plan.ts';
import { type Edit, spliced } from './splice.ts';

/**
 * Pieces of the source text for the partitions' statement: parameters are numbered anew, and reads of the clock
 * become a parameter, so that all partitions see the same instant.
 */
export class Renderer {
  readonly parameters: ParameterSource[] = [];
  readonly #sql: string;
  readonly #known = new Map<string, number>();

  constructor(sql: string) {
    this.#sql = sql;
  }

  /** `?n` for a source; the same one for the same source. */
  parameter(source: ParameterSource): string {
    const key = JSON.stringify(source);
    let index = this.#known.get(key);
    if (index === undefined) {
      index = this.parameters.push(source);
      this.#known.set(key, index);
    }
    return `?${index}`;
  }

  /** An expression in parentheses; `scope`: replace aliases of result columns by what they stand for. */
  expression(expression: Expression, scope: Scope | null): string {
    return `(${this.piece(expression, expression, scope)})`;
  }

  /** The text of `span`, which holds `node`. */
  piece(span: Span, node: Node, scope: Scope | null): string {
    return spliced(this.#sql, span, this.edits(node, scope));
  }

  edits(node: Node, scope: Scope | null): Edit[] {
    const edits: Edit[] = [];
    this.#collect(node, scope, false, edits);
    return edits;
  }

  #collect(node: Node, scope: Scope | null, time: boolean, edits: Edit[]): void {
    const { start, end } = node;
    switch (node.kind) {
      case 'parameter':
        edits.push({ start, end, text: this.#argument(node, time) });
        return;
      case 'current-time':
        edits.push(currentTimeEdit(node, this.#now()));
        return;
      case 'column': {
        const target = scope === null ? null : aliasTarget(node, scope);
        if (target !== null && scope !== null) {
          edits.push({ start, end, text: this.expression(target, withoutAliases(scope)) });
        }
        return;
      }
      case 'function':
        this.#call(node, scope, edits);
        return;
      default:
        // Names inside a subquery have scopes of their own.
        for (const child of childrenOf(node)) {
          this.#collect(child, node.kind === 'select' ? null : scope, false, edits);
        }
    }
  }

  #call(call: FunctionCall, scope: Scope | null, edits: Edit[]): void {
    for (const child of childrenOf(call)) {
      const argument = child as Expression;
      if (asksForNow(call, argument)) {
        edits.push({ start: child.start, end: child.end, text: this.#now() });
      } else {
        this.#collect(child, scope, isTimeValue(call, argument), edits);
      }
    }
    const leftOut = leftOutTimeEdit(call, this.#sql, () => this.#now());
    if (leftOut !== null) edits.push(leftOut);
  }

  #argument({ index }: Parameter, time: boolean): string {
    return this.parameter({ kind: 'argument', index, time });
  }

  #now(): string {
    return this.parameter({ kind: 'now' });
  }
}

function aliasTarget(node: Node & { kind: 'column' }, scope: Scope): Expression | null {
  const resolved = resolveColumn(node, scope);
  return resolved.kind === 'alias' && resolved.depth === 0 ? resolved.expression : null;
}
