import type { Frame, FrameBound, NamedWindow, WindowDefinition } from './ast.ts';
import { type Cursor, isName } from './cursor.ts';
import { parseName } from './name.ts';
import { parseExpressions, parseOrderBy } from './term.ts';
import * as T from './token.ts';

const UNITS = new Map<number, Frame['unit']>([
  [T.RANGE, 'RANGE'],
  [T.ROWS, 'ROWS'],
  [T.GROUPS, 'GROUPS'],
]);

/** `(base PARTITION BY … ORDER BY … frame)`: https://www.sqlite.org/syntax/window-defn.html */
export function parseWindowDefinition(cursor: Cursor): WindowDefinition {
  const { start } = cursor;
  cursor.expect(T.OPEN);
  const named = cursor.kind !== T.PARTITION && !UNITS.has(cursor.kind) && isName(cursor.kind);
  const base = named ? parseName(cursor) : null;
  let partitionBy = null;
  if (cursor.take(T.PARTITION)) {
    cursor.expect(T.BY);
    partitionBy = parseExpressions(cursor);
  }
  const orderBy = parseOrderBy(cursor);
  const frame = parseFrame(cursor);
  cursor.expect(T.CLOSE);
  return { kind: 'window', start, end: cursor.end, base, partitionBy, orderBy, frame };
}

/** WINDOW a AS (…), b AS (…), behind WINDOW. */
export function parseNamedWindows(cursor: Cursor): NamedWindow[] {
  const windows: NamedWindow[] = [];
  do {
    const { start } = cursor;
    const name = parseName(cursor);
    cursor.expect(T.AS);
    const definition = parseWindowDefinition(cursor);
    windows.push({ kind: 'named-window', start, end: cursor.end, name, definition });
  } while (cursor.take(T.COMMA));
  return windows;
}

function parseFrame(cursor: Cursor): Frame | null {
  const { start } = cursor;
  const unit = UNITS.get(cursor.kind);
  if (unit === undefined) return null;
  cursor.advance();
  let from: FrameBound;
  let to: FrameBound | null = null;
  if (cursor.take(T.BETWEEN)) {
    from = parseFrameBound(cursor, T.PRECEDING);
    cursor.expect(T.AND);
    to = parseFrameBound(cursor, T.FOLLOWING);
  } else {
    from = parseFrameBound(cursor, T.PRECEDING);
  }
  const exclude = cursor.take(T.EXCLUDE) ? parseExclude(cursor) : null;
  return { kind: 'frame', start, end: cursor.end, unit, from, to, exclude };
}

/** `unbounded`: the word that UNBOUNDED goes with in this place. */
function parseFrameBound(cursor: Cursor, unbounded: number): FrameBound {
  const { start } = cursor;
  const bound = (type: FrameBound['type'], offset: FrameBound['offset']): FrameBound => ({
    kind: 'frame-bound',
    start,
    end: cursor.end,
    type,
    offset,
  });
  if (cursor.take(T.UNBOUNDED)) {
    cursor.expect(unbounded);
    return bound(unbounded === T.PRECEDING ? 'UNBOUNDED PRECEDING' : 'UNBOUNDED FOLLOWING', null);
  }
  if (cursor.take(T.CURRENT)) {
    cursor.expect(T.ROW);
    return bound('CURRENT ROW', null);
  }
  const offset = cursor.grammar.expression(cursor);
  if (cursor.take(T.PRECEDING)) return bound('PRECEDING', offset);
  if (cursor.take(T.FOLLOWING)) return bound('FOLLOWING', offset);
  return cursor.fail('PRECEDING', 'FOLLOWING');
}

function parseExclude(cursor: Cursor): NonNullable<Frame['exclude']> {
  if (cursor.take(T.NO)) {
    cursor.expect(T.OTHERS);
    return 'NO OTHERS';
  }
  if (cursor.take(T.CURRENT)) {
    cursor.expect(T.ROW);
    return 'CURRENT ROW';
  }
  if (cursor.take(T.GROUP)) return 'GROUP';
  if (cursor.take(T.TIES)) return 'TIES';
  return cursor.fail('NO OTHERS', 'CURRENT ROW', 'GROUP', 'TIES');
}
