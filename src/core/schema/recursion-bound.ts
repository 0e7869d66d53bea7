import type { Statement } from '../sql/ast.ts';
import { recursionEdits } from '../sql/recursion.ts';
import { splice } from '../sql/splice.ts';

/** What no definition may contain: it marks what Atoll has put in. */
export const BOUND_START = '/*(atoll*/';
const BOUND_END = '/*)atoll*/';
const BOUND = /\/\*\(atoll\*\/[\s\S]*?\/\*\)atoll\*\//g;

/** A view is run as it is stored, so the bound of a recursion is stored in it, between marks. */
export function boundRecursion(source: string, definition: Statement): string {
  const edits = recursionEdits(definition, source);
  return splice(
    source,
    edits.map((edit) => ({ ...edit, text: `${BOUND_START}${edit.text}${BOUND_END}` })),
  );
}

/** The definition as it was written. */
export function withoutBounds(sql: string): string {
  return sql.replace(BOUND, '');
}
