import { suspensionOf } from '../core/schema/foreign-keys-switch.ts';
import type { ParsedStatement } from '../core/sql/ast.ts';
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
  return located(text, parseScript(text));
}

/**
 * The statements of a script as requests: one by one, but together what switches foreign keys off to rebuild tables, as migration
 * tools write it, with the schema changes that follow directly. Throws as {@link splitScript} does.
 *
 * @example
 * for (const statements of scriptRequests(await readFile('migration.sql', 'utf8')))
 *   await db.batch(statements.map(({ sql }) => sql));
 */
export function scriptRequests(text: string): (readonly ScriptStatement[])[] {
  const parsed = parseScript(text);
  const statements = located(text, parsed);
  const requests: (readonly ScriptStatement[])[] = [];
  let end = 0;
  for (const [from, { statement }] of parsed.entries()) {
    if (from < end) continue;
    end = suspensionOf(statement)?.begins === true ? endOfRebuild(parsed, from) : from + 1;
    requests.push(statements.slice(from, end));
  }
  return requests;
}

function located(text: string, parsed: readonly ParsedStatement[]): ScriptStatement[] {
  let line = 1;
  let counted = 0;
  return parsed.map(({ start, end }) => {
    for (; counted < start; counted++) if (text.charCodeAt(counted) === 0x0a) line++;
    return { sql: text.slice(start, end), line };
  });
}

const DEFINITIONS: ReadonlySet<string> = new Set([
  'create-table',
  'create-index',
  'create-view',
  'create-trigger',
  'alter-table',
  'drop',
]);

/** Behind what ends the suspension that begins at `from`, and the definitions after it. */
function endOfRebuild(parsed: readonly ParsedStatement[], from: number): number {
  const suspended = new Set<string>();
  for (let at = from; at < parsed.length; at++) {
    const { statement } = parsed[at] as ParsedStatement;
    const suspension = suspensionOf(statement);
    if (suspension?.begins === true) suspended.add(suspension.pragma);
    else if (suspension !== null) suspended.delete(suspension.pragma);
    else if (suspended.size === 0 && !DEFINITIONS.has(statement.kind)) return at;
  }
  return parsed.length;
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
