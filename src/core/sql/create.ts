import type {
  CreateIndex,
  CreateTable,
  CreateTrigger,
  CreateView,
  CreateVirtualTable,
  ModuleArgument,
} from './ast.ts';
import { parseCreateTable, parseIfNotExists } from './create-table.ts';
import type { Cursor } from './cursor.ts';
import { parseTriggerStep } from './dml.ts';
import { parseName, parseNameList, parseOptionalNames, parseQualifiedName } from './name.ts';
import { parseSelect } from './select.ts';
import { parseOrderingTerms, parseWhere } from './term.ts';
import * as T from './token.ts';

/** Everything that starts with CREATE. */
export function parseCreate(
  cursor: Cursor,
): CreateTable | CreateIndex | CreateView | CreateTrigger | CreateVirtualTable {
  const { start } = cursor;
  cursor.expect(T.CREATE);
  const temporary = cursor.take(T.TEMP) || cursor.take(T.TEMPORARY);
  switch (cursor.kind) {
    case T.TABLE:
      return parseCreateTable(cursor, start, temporary);
    case T.VIEW:
      return parseCreateView(cursor, start, temporary);
    case T.TRIGGER:
      return parseCreateTrigger(cursor, start, temporary);
    default:
  }
  if (temporary) return cursor.fail('TABLE', 'VIEW', 'TRIGGER');
  if (cursor.kind === T.VIRTUAL) return parseCreateVirtualTable(cursor, start);
  if (cursor.kind !== T.UNIQUE && cursor.kind !== T.INDEX) cursor.fail('TABLE', 'INDEX', 'VIEW', 'TRIGGER');
  return parseCreateIndex(cursor, start);
}

function parseCreateIndex(cursor: Cursor, start: number): CreateIndex {
  const unique = cursor.take(T.UNIQUE);
  cursor.expect(T.INDEX);
  const ifNotExists = parseIfNotExists(cursor);
  const name = parseQualifiedName(cursor);
  cursor.expect(T.ON);
  const table = parseName(cursor);
  cursor.expect(T.OPEN);
  const columns = parseOrderingTerms(cursor);
  cursor.expect(T.CLOSE);
  const where = parseWhere(cursor);
  const { end } = cursor;
  return { kind: 'create-index', start, end, unique, ifNotExists, name, table, columns, where };
}

function parseCreateView(cursor: Cursor, start: number, temporary: boolean): CreateView {
  cursor.expect(T.VIEW);
  const ifNotExists = parseIfNotExists(cursor);
  const name = parseQualifiedName(cursor);
  const columns = parseOptionalNames(cursor);
  cursor.expect(T.AS);
  const select = parseSelect(cursor);
  return { kind: 'create-view', start, end: cursor.end, temporary, ifNotExists, name, columns, select };
}

function parseCreateTrigger(cursor: Cursor, start: number, temporary: boolean): CreateTrigger {
  cursor.expect(T.TRIGGER);
  const ifNotExists = parseIfNotExists(cursor);
  const name = parseQualifiedName(cursor);
  const time = parseTriggerTime(cursor);
  const event = parseTriggerEvent(cursor);
  const columns = event === 'UPDATE' && cursor.take(T.OF) ? parseNameList(cursor) : null;
  cursor.expect(T.ON);
  const table = parseQualifiedName(cursor);
  if (cursor.take(T.FOR)) cursor.expectAll(T.EACH, T.ROW);
  const when = cursor.take(T.WHEN) ? cursor.grammar.expression(cursor) : null;
  cursor.expect(T.BEGIN);
  const body: CreateTrigger['body'][number][] = [];
  do {
    body.push(parseTriggerStep(cursor));
    cursor.expect(T.SEMICOLON);
  } while (!cursor.take(T.END));
  return {
    kind: 'create-trigger',
    start,
    end: cursor.end,
    temporary,
    ifNotExists,
    name,
    time,
    event,
    columns,
    table,
    when,
    body,
  };
}

function parseTriggerTime(cursor: Cursor): CreateTrigger['time'] {
  if (cursor.take(T.BEFORE)) return 'BEFORE';
  if (cursor.take(T.AFTER)) return 'AFTER';
  if (!cursor.take(T.INSTEAD)) return null;
  cursor.expect(T.OF);
  return 'INSTEAD OF';
}

function parseTriggerEvent(cursor: Cursor): CreateTrigger['event'] {
  if (cursor.take(T.DELETE)) return 'DELETE';
  if (cursor.take(T.INSERT)) return 'INSERT';
  if (cursor.take(T.UPDATE)) return 'UPDATE';
  return cursor.fail('DELETE', 'INSERT', 'UPDATE');
}

function parseCreateVirtualTable(cursor: Cursor, start: number): CreateVirtualTable {
  cursor.expectAll(T.VIRTUAL, T.TABLE);
  const ifNotExists = parseIfNotExists(cursor);
  const name = parseQualifiedName(cursor);
  cursor.expect(T.USING);
  const module = parseName(cursor);
  const list = cursor.take(T.OPEN) ? parseModuleArguments(cursor) : [];
  const { end } = cursor;
  return { kind: 'create-virtual-table', start, end, ifNotExists, name, module, arguments: list };
}

/** Any tokens, with balanced parentheses, split at the outer commas; an empty argument is not one. */
function parseModuleArguments(cursor: Cursor): ModuleArgument[] {
  const list: ModuleArgument[] = [];
  let { start } = cursor;
  let depth = 0;
  const finish = (): void => {
    const end = Math.max(start, cursor.end);
    if (end > start) list.push({ kind: 'module-argument', start, end, text: cursor.sql.slice(start, end) });
  };
  for (;;) {
    if (cursor.kind === T.EOF) cursor.fail('")"');
    if (depth === 0 && (cursor.kind === T.COMMA || cursor.kind === T.CLOSE)) {
      finish();
      const last = cursor.kind === T.CLOSE;
      cursor.advance();
      if (last) return list;
      start = cursor.start;
      continue;
    }
    if (cursor.kind === T.OPEN) depth++;
    else if (cursor.kind === T.CLOSE) depth--;
    cursor.advance();
  }
}
