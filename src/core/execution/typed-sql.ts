/**
 * SQL that carries types past a port that reads every number as a double: the statement's own columns, then
 * one column of tags, a comma between them, one tag per column:
 *
 * - `i` an INTEGER that a double holds exactly; the digits themselves when it does not
 * - `r` REAL · `t` TEXT · `b` BLOB · `n` NULL
 * - with `rawText`: `x` and the TEXT's bytes in hexadecimal (for TEXT that is not valid UTF-8)
 */
export const TAG_COLUMN = '_atoll_tags';

function tagOf(column: string, rawText: boolean): string {
  const safe = '9007199254740991';
  const integer = `WHEN 'integer' THEN iif(${column} BETWEEN -${safe} AND ${safe}, 'i', CAST(${column} AS TEXT))`;
  const text = rawText ? ` WHEN 'text' THEN 'x' || hex(${column})` : '';
  return `CASE typeof(${column}) ${integer}${text} ELSE substr(typeof(${column}), 1, 1) END`;
}

/** The expression of the tag column over `columns`, each an expression that may be written twice. */
export function tagsSql(columns: readonly string[], rawText = false): string {
  // concat_ws rather than ||: a chain of 99 would pass the expression depth of 100 that workerd imposes.
  return `concat_ws(',', ${columns.map((column) => tagOf(column, rawText)).join(', ')}, '') AS ${TAG_COLUMN}`;
}

export interface TypedSelectOptions {
  /** TEXT as bytes as well. */
  readonly rawText: boolean;
  /** Keeps SQLite from evaluating a result column once for its value and again for its type. */
  readonly evaluateOnce: boolean;
}

/** Wraps a whole SELECT; a subquery that stands alone keeps its order. */
export function typedSelect(select: string, columnCount: number, options: TypedSelectOptions): string {
  const names = Array.from({ length: columnCount }, (_, index) => `c${index}`);
  const how = options.evaluateOnce ? 'AS MATERIALIZED' : 'AS';
  return `WITH _atoll_rows(${names.join(', ')}) ${how} (${select}\n) SELECT *, ${tagsSql(names, options.rawText)} FROM _atoll_rows`;
}
