import type { Span } from '../sql/ast.ts';

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
