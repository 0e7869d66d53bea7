import type { Parameter } from './ast.ts';

/**
 * SQLite's numbering: `?` is one more than the largest so far, `?N` is N, a name is the number of its first use.
 * https://www.sqlite.org/lang_expr.html#parameters
 */
export class ParameterList {
  /** SQLite's default SQLITE_MAX_VARIABLE_NUMBER; hosts that allow fewer refuse when they prepare. */
  static readonly INDEX_MAX = 32766;

  readonly list: Parameter[] = [];
  /** The largest index. */
  count = 0;
  #named: Map<string, number> | null = null;

  /** `text` is the token; null if its number is out of range. */
  add(text: string, start: number, end: number): Parameter | null {
    const index = this.#index(text);
    if (index < 1 || index > ParameterList.INDEX_MAX) return null;
    if (index > this.count) this.count = index;
    const parameter: Parameter = { kind: 'parameter', start, end, name: text === '?' ? null : text, index };
    this.list.push(parameter);
    return parameter;
  }

  #index(text: string): number {
    if (text === '?') return this.count + 1;
    if (text.startsWith('?')) return Number(text.slice(1));
    this.#named ??= new Map();
    const known = this.#named.get(text);
    if (known !== undefined) return known;
    this.#named.set(text, this.count + 1);
    return this.count + 1;
  }
}
