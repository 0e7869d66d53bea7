import { currentTimeEdit, isTimeValue, leftOutTimeEdit } from '../sql/analysis/clock.ts';
import { timeArgument } from '../sql/analysis/functions.ts';
import type { Expression, FunctionCall, Node } from '../sql/ast.ts';
import type { Edit } from '../sql/splice.ts';
import { findAll } from '../sql/walk.ts';
import { copyRefused } from './refused-change.ts';

/**
 * Has the present time read as `instant`, SQL text of a time value, wherever a copy asks for it: every host that runs the copy has
 * another clock. A time value that is computed, or a row's, asks for it too where it turns out to be 'now' or 'subsec'
 * (https://www.sqlite.org/lang_datefunc.html section 2).
 *
 * @throws AtollError for local time, which is another one for each host
 */
export function instantEdits(node: Node, sql: string, instant: string): Edit[] {
  const current = findAll(node, 'current-time').map((each) => currentTimeEdit(each, instant));
  const calls = findAll(node, 'function').filter(isOfTime);
  for (const call of calls) refuseLocalTime(call);
  return [
    ...current,
    ...calls.flatMap((call): Edit[] => {
      const leftOut = leftOutTimeEdit(call, sql, () => instant);
      const given = call.arguments.filter((argument) => isTimeValue(call, argument));
      return [
        ...(leftOut === null ? [] : [leftOut]),
        ...given.flatMap((value) => timeValueEdits(call, value, sql, instant)),
      ];
    }),
  ];
}

function isOfTime(call: FunctionCall): boolean {
  return timeArgument(call.function) !== null || call.function === 'timediff';
}

/** Modifiers come behind the time value. */
function refuseLocalTime(call: FunctionCall): void {
  const place = timeArgument(call.function) ?? call.arguments.length;
  for (const modifier of call.arguments.slice(place + 1)) {
    const text =
      modifier.kind === 'literal' && modifier.type === 'text' ? modifier.value.trim().toLowerCase() : null;
    if (text !== null && text !== 'localtime' && text !== 'utc') continue;
    throw copyRefused(
      `${call.function}() of local time, or with a modifier that is no literal, would be another one on another host: copy first, then UPDATE`,
    );
  }
}

/** SQLite looks at a text up to its first NUL, as substr does. */
function timeValueEdits(call: FunctionCall, value: Expression, sql: string, instant: string): Edit[] {
  const { start, end } = value;
  if (value.kind === 'literal' && value.type !== 'blob') {
    const text = value.type === 'text' ? value.value.toLowerCase() : '';
    if (!NOW.includes(text)) return [];
    return [
      { start, end, text: text === 'now' || call.function === 'timediff' ? instant : `${instant}, 'subsec'` },
    ];
  }
  const words = NOW.map((word) => `'${word}'`).join(', ');
  // Around it, since it may itself have to be changed.
  const text = sql.slice(start, end);
  if (findAll(value, 'function').some(isOfTime) || findAll(value, 'current-time').length > 0)
    throw copyRefused('times within times: compute one of them before or afterwards');
  return [
    {
      start,
      end,
      text: `iif(lower(substr(CAST(${text} AS TEXT), 1, 10)) IN (${words}), ${instant}, ${text})`,
    },
  ];
}

const NOW: readonly string[] = ['now', 'subsec', 'subsecond'];
