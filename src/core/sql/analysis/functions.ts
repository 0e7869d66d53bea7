import type { Expression, FunctionCall } from '../ast.ts';

/** https://www.sqlite.org/lang_aggfunc.html; min and max aggregate only with one argument. */
const AGGREGATES: ReadonlySet<string> = new Set([
  'avg',
  'count',
  'group_concat',
  'string_agg',
  'sum',
  'total',
  'json_group_array',
  'json_group_object',
  'jsonb_group_array',
  'jsonb_group_object',
  'median',
  'percentile',
  'percentile_cont',
  'percentile_disc',
]);

export function isAggregate(call: FunctionCall): boolean {
  if (call.over !== null) return false;
  if (call.function === 'min' || call.function === 'max') return call.arguments.length === 1;
  return AGGREGATES.has(call.function);
}

/** First argument position of the time value: https://www.sqlite.org/lang_datefunc.html */
const TIME_FUNCTIONS: ReadonlyMap<string, number> = new Map([
  ['date', 0],
  ['time', 0],
  ['datetime', 0],
  ['julianday', 0],
  ['unixepoch', 0],
  ['strftime', 1],
]);

/** Where a time function takes its time value; null: no such function. `timediff` takes two. */
export function timeArgument(name: string): number | null {
  return TIME_FUNCTIONS.get(name) ?? null;
}

/** Whether a time function is asked for the present: 'now', or no time value at all. */
export function readsClock(call: FunctionCall): boolean {
  const place = timeArgument(call.function);
  if (place === null) return call.function === 'timediff' && call.arguments.some(isNow);
  const argument = call.arguments[place];
  return argument === undefined || isNow(argument);
}

export function isNow(argument: Expression): boolean {
  return argument.kind === 'literal' && argument.type === 'text' && argument.value.toLowerCase() === 'now';
}

/** Different at each call. */
const RANDOM: ReadonlySet<string> = new Set(['random', 'randomblob']);
/** What they answer belongs to the connection, which all users of a partition share. */
const CONNECTION: ReadonlySet<string> = new Set(['changes', 'total_changes', 'last_insert_rowid']);

export type Volatility = 'random' | 'connection' | null;

export function volatility(name: string): Volatility {
  if (RANDOM.has(name)) return 'random';
  return CONNECTION.has(name) ? 'connection' : null;
}

/** Table-valued functions that read their arguments only. */
export function isPureTableFunction(name: string): boolean {
  return name === 'json_each' || name === 'json_tree';
}

export const JSON_TABLE_COLUMNS: readonly string[] = [
  'key',
  'value',
  'type',
  'atom',
  'id',
  'parent',
  'fullkey',
  'path',
];
