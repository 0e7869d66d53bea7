import { SqlSyntaxError } from '../core/sql/error.ts';
import { parseScript } from '../core/sql/parse.ts';

export { SqlSyntaxError } from '../core/sql/error.ts';

export interface ScriptStatement {
  readonly sql: string;
  /** Of its first character, from 1. */
  readonly line: number;
}

/**
 * The statements of a script, in order, so that they can be sent one by one. Throws a `SqlSyntaxError`, with
 * line and column, before anything of a script that does not parse could have been sent.
 *
 * @example
 * for (const { sql } of splitScript(await readFile('schema.sql', 'utf8'))) await db.query(sql);
 */
export function splitScript(text: string): ScriptStatement[] {
  let line = 1;
  let counted = 0;
  return parseScript(text).map(({ start, end }) => {
    for (; counted < start; counted++) if (text.charCodeAt(counted) === 0x0a) line++;
    return { sql: text.slice(start, end), line };
  });
}

/** Whether a text that somebody types is a whole script: ends with `;`, outside of quotes, comments and trigger bodies. */
export function isComplete(text: string): boolean {
  if (!/;\s*$/.test(text)) return false;
  try {
    parseScript(text);
    return true;
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    const openQuote = error.kind === 'unrecognized-token' && /^['"`[]/.test(error.near);
    return error.kind !== 'incomplete' && !openQuote;
  }
}
