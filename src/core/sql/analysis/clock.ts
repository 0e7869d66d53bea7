import type { CurrentTime, Expression, FunctionCall } from '../ast.ts';
import type { Edit } from '../splice.ts';
import { isNow, readsClock, timeArgument } from './functions.ts';

const CURRENT = { current_date: 'date', current_time: 'time', current_timestamp: 'datetime' } as const;

/** CURRENT_TIMESTAMP and the like as calls for `instant`, SQL text of a time value. */
export function currentTimeEdit({ start, end, name }: CurrentTime, instant: string): Edit {
  return { start, end, text: `${CURRENT[name]}(${instant})` };
}

/** Whether this argument of the call asks for the present. */
export function asksForNow(call: FunctionCall, argument: Expression): boolean {
  return isTimeValue(call, argument) && readsClock(call) && isNow(argument);
}

/** Whether the call takes this argument as a time value. */
export function isTimeValue(call: FunctionCall, argument: Expression): boolean {
  const place = call.arguments.indexOf(argument);
  return place >= 0 && (call.function === 'timediff' || place === timeArgument(call.function));
}

/** What a call that leaves its time value out, as `datetime()` and `strftime(format)` do, gets in its place; else null. */
export function leftOutTimeEdit(call: FunctionCall, sql: string, instant: () => string): Edit | null {
  const place = timeArgument(call.function);
  if (place === null || call.arguments.length !== place) return null;
  const close = call.end - 1;
  // Nothing of the language comes between: no call of the kind has FILTER or OVER.
  if (sql[close] !== ')') return null;
  if (call.star) {
    const star = sql.lastIndexOf('*', close);
    return { start: star, end: star + 1, text: instant() };
  }
  return { start: close, end: close, text: `${place === 0 ? '' : ', '}${instant()}` };
}
