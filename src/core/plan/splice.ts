import type { ParsedStatement, Span, Values } from '../sql/ast.ts';

/** Replaces the text of a span. */
export interface Edit extends Span {
  readonly text: string;
}

/** `sql` from `span.start` to `span.end` with the edits inside it applied. Edits may touch but not overlap. */
export function spliced(sql: string, span: Span, edits: readonly Edit[]): string {
  const inside = edits
    .filter((edit) => edit.start >= span.start && edit.end <= span.end)
    .sort((a, b) => a.start - b.start);
  let text = '';
  let at = span.start;
  for (const edit of inside) {
    text += sql.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return text + sql.slice(at, span.end);
}

/** An INSERT … VALUES cut by rows. Parameters get explicit numbers, so that leaving rows out moves none. */
export function spliceInsertRows(
  parsed: ParsedStatement,
  sql: string,
  values: Values,
): { prefix: string; rows: readonly string[]; suffix: string } {
  const edits = parsed.parameters.map(({ start, end, index }) => ({ start, end, text: `?${index}` }));
  const piece = (start: number, end: number): string => spliced(sql, { start, end }, edits);
  return {
    prefix: piece(parsed.start, values.rows[0]?.start ?? values.start),
    rows: values.rows.map((row) => piece(row.start, row.end)),
    suffix: piece(values.rows.at(-1)?.end ?? values.end, parsed.end),
  };
}
