import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import { decodeValue } from '../../protocol/json-value.ts';
import type { ParsedStatement } from '../sql/ast.ts';

/** SQLite's SQLITE_LIMIT_VARIABLE_NUMBER in workerd (imposed). */
export const PARAMETERS_MAX = 100;

/**
 * A request's `args` as values by parameter number (index 0 is `?1`). An array goes by number; an object by
 * name, with or without the prefix.
 */
export function readArguments(parsed: ParsedStatement, args: unknown): SqlValue[] {
  const count = parsed.parameterCount;
  if (args === undefined || args === null) {
    if (count > 0)
      throw new AtollError('parameter', `the statement has ${count} parameter(s) and no args were given`);
    return [];
  }
  if (Array.isArray(args)) return readPositional(parsed, args);
  if (typeof args === 'object') return readNamed(parsed, args as Record<string, unknown>);
  throw new AtollError('bad-request', 'args must be an array, or an object of names');
}

function readPositional(parsed: ParsedStatement, args: readonly unknown[]): SqlValue[] {
  const count = parsed.parameterCount;
  if (args.length > PARAMETERS_MAX || count > PARAMETERS_MAX) {
    throw new AtollError(
      'too-many-parameters',
      `${Math.max(args.length, count)} parameters; a statement may have ${PARAMETERS_MAX}: pass lists as one JSON text and read it with json_each(?)`,
    );
  }
  if (args.length !== count) {
    throw new AtollError(
      'parameter',
      `the statement has ${count} parameter(s) and ${args.length} args were given`,
    );
  }
  return args.map((value, index) => readValue(value, `args[${index}]`));
}

function readNamed(parsed: ParsedStatement, args: Record<string, unknown>): SqlValue[] {
  const values: SqlValue[] = new Array(parsed.parameterCount).fill(null);
  const used = new Set<string>();
  for (const parameter of parsed.parameters) {
    const { name, index } = parameter;
    if (name === null) {
      throw new AtollError(
        'parameter',
        'args is an object, but the statement has a parameter without a name',
      );
    }
    const key = Object.hasOwn(args, name) ? name : name.slice(1);
    if (!Object.hasOwn(args, key)) throw new AtollError('parameter', `args has no ${name}`);
    used.add(key);
    values[index - 1] = readValue(args[key], `args.${key}`);
  }
  const surplus = Object.keys(args).find((key) => !used.has(key));
  if (surplus !== undefined) throw new AtollError('parameter', `the statement has no parameter ${surplus}`);
  return values;
}

function readValue(value: unknown, place: string): SqlValue {
  try {
    return decodeValue(value);
  } catch (error) {
    if (!(error instanceof AtollError)) throw error;
    throw new AtollError(error.code, `${place}: ${error.message}`, error.outcome);
  }
}
