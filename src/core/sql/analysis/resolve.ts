import { asciiLower } from '../../../base/ascii.ts';
import type { ColumnReference } from '../ast.ts';
import type { Resolved, Scope, Source } from './model.ts';
import { refuse } from './refusal.ts';

export const ROWID_NAMES: ReadonlySet<string> = new Set(['rowid', '_rowid_', 'oid']);

/**
 * What a name means, by the rules of SQLite's lookupName (src/resolve.c): the innermost scope that knows it;
 * within one, columns before aliases of result columns; then, for a bare name, a string if it is in double
 * quotes, or TRUE and FALSE.
 */
export function resolveColumn(reference: ColumnReference, scope: Scope | null): Resolved {
  let depth = 0;
  for (let at = scope; at !== null; at = at.parent) {
    const found = resolveWithin(reference, at, depth++);
    if (found !== null) return found;
  }
  const { name, table } = reference;
  if (table === null && name.quote === '"') return { kind: 'text', value: name.name };
  if (table === null && name.quote === '') {
    const word = asciiLower(name.name);
    if (word === 'true' || word === 'false') return { kind: 'truth', value: word === 'true' };
  }
  const qualifier = table === null ? '' : `${table.name}.`;
  return refuse('no-such-column', `no such column: ${qualifier}${name.name}`);
}

function resolveWithin(reference: ColumnReference, scope: Scope, depth: number): Resolved | null {
  const name = asciiLower(reference.name.name);
  const table = reference.table === null ? null : asciiLower(reference.table.name);
  if (reference.schema !== null && asciiLower(reference.schema.name) !== 'main') return null;
  if (table === null && scope.coalesced.has(name)) return { kind: 'coalesced', depth };
  const candidates = scope.sources.filter((source) =>
    table === null ? !source.merged.has(name) : source.name === table,
  );
  const matches: Resolved[] = [];
  for (const source of candidates) {
    const column = source.columns.find((c) => asciiLower(c.name) === name);
    if (column !== undefined) matches.push({ kind: 'column', source, ...column, depth });
  }
  if (matches.length === 0 && ROWID_NAMES.has(name)) matches.push(...rowids(candidates, depth));
  if (matches.length > 1) refuse('syntax', `ambiguous column name: ${reference.name.name}`);
  const [match] = matches;
  if (match !== undefined) return match;
  const alias = table === null ? scope.aliases.get(name) : undefined;
  return alias === undefined ? null : { kind: 'alias', expression: alias, depth };
}

function rowids(sources: readonly Source[], depth: number): Resolved[] {
  const found: Resolved[] = [];
  for (const source of sources) {
    const name = rowidOf(source);
    if (name === null) continue;
    found.push({ kind: 'column', source, name, affinity: 'INTEGER', collation: 'BINARY', depth });
  }
  return found;
}

/** The canonical name of a table's rowid: its INTEGER PRIMARY KEY, or the name that no column takes. */
export function rowidOf(source: Source): string | null {
  return source.table === null ? null : (source.table.rowidColumn ?? source.table.rowidName);
}
