import { RawText, type SqlValue } from '../base/sql-value.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { AtollError } from './error.ts';
import { isUtf8 } from './utf8.ts';

/** SQL values as the JSON of the public API and back, without loss: docs/protocol.md, "Values". */

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * The SQL value that `json` stands for. It must come out of parseJson, or survive JSON.stringify since: a number in
 * it is an INTEGER. `where` names the value in the message of the error, which is `parameter`.
 */
export function decodeValue(json: unknown, where: string | (() => string) = 'the value'): SqlValue {
  switch (typeof json) {
    case 'string':
      return json.isWellFormed()
        ? json
        : refuse(where, 'has half of a surrogate pair, which is no character');
    case 'number':
      return Number.isSafeInteger(json) ? BigInt(json) : refuse(where, `is not exact as a number: ${json}`);
    case 'boolean':
      return json ? 1n : 0n;
    case 'object':
      return json === null ? null : decodeObject(json, where);
    default:
      return refuse(where, 'is missing; send null for NULL');
  }
}

export type SqlArguments = readonly SqlValue[] | ReadonlyMap<string, SqlValue>;

/** The `args` of a statement: an array for `?`, an object of names, or nothing. Error: `parameter`. */
export function decodeArguments(json: unknown): SqlArguments {
  if (json === undefined || json === null) return [];
  if (Array.isArray(json)) return decodeRow(json);
  if (typeof json !== 'object') return refuse('args', 'must be an array, or an object of names');
  return new Map(
    Object.entries(json).map(([name, value]) => [name, decodeValue(value, () => `args.${name}`)]),
  );
}

/** An array of values, counted from 1 in messages as in `?1`. */
export function decodeRow(json: readonly unknown[]): SqlValue[] {
  const values = new Array<SqlValue>(json.length);
  for (let i = 0; i < json.length; i++) values[i] = decodeValue(json[i], () => `argument ${i + 1}`);
  return values;
}

function decodeObject(json: object, where: string | (() => string)): SqlValue {
  const entries = Array.isArray(json) ? [] : Object.entries(json);
  const [tag, content] = entries[0] ?? ['', null];
  if (entries.length !== 1 || !tag.startsWith('$')) {
    return refuse(where, 'is an array or an object; send JSON as a string');
  }
  if (typeof content !== 'string') return refuse(where, `must be a string within {"${tag}":…}`);
  switch (tag) {
    case '$int':
      return decodeInteger(content, where);
    case '$real':
      return decodeReal(content, where);
    case '$blob':
      return fromBase64(content) ?? refuse(where, 'is no base64 within {"$blob":…}');
    case '$text':
      return decodeText(content, where);
    default:
      return refuse(where, `has the unknown tag ${tag}; there are $int, $real, $blob and $text`);
  }
}

function decodeInteger(content: string, where: string | (() => string)): bigint {
  // The length bounds what BigInt must read.
  if (!/^-?\d{1,400}$/.test(content)) return refuse(where, 'is no integer within {"$int":…}');
  const value = BigInt(content);
  if (value < INT64_MIN || value > INT64_MAX) {
    return refuse(where, 'is beyond 64 bits; send it as a string, or with a point as a REAL');
  }
  return value;
}

function decodeReal(content: string, where: string | (() => string)): number {
  if (content === 'inf') return Infinity;
  if (content === '-inf') return -Infinity;
  if (content === 'nan') return refuse(where, 'is NaN, which SQLite stores as NULL; send null');
  if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(content))
    return refuse(where, 'is no number within {"$real":…}');
  const value = Number(content);
  return Number.isFinite(value) ? value : refuse(where, 'is beyond REAL; infinity is {"$real":"inf"}');
}

function decodeText(content: string, where: string | (() => string)): RawText {
  const bytes = fromBase64(content) ?? refuse(where, 'is no base64 within {"$text":…}');
  // One value, one representation: or it would differ from itself in comparisons of replies.
  return isUtf8(bytes)
    ? refuse(where, 'is valid UTF-8 within {"$text":…}; send a string')
    : new RawText(bytes);
}

function refuse(where: string | (() => string), why: string): never {
  throw new AtollError('parameter', `${typeof where === 'string' ? where : where()} ${why}`);
}

/** The JSON text of a value in a reply. */
export function encodeValue(value: SqlValue): string {
  if (typeof value === 'string') return encodeString(value);
  if (typeof value === 'bigint') return encodeInteger(value);
  if (typeof value === 'number') return encodeReal(value);
  if (value === null) return 'null';
  if (value instanceof RawText) return `{"$text":"${toBase64(value.bytes)}"}`;
  return `{"$blob":"${toBase64(value)}"}`;
}

/** A row as a JSON array. */
export function encodeRow(row: readonly SqlValue[]): string {
  let text = '[';
  for (let i = 0; i < row.length; i++) {
    if (i > 0) text += ',';
    text += encodeValue(row[i] as SqlValue);
  }
  return `${text}]`;
}

/** Nothing that JSON escapes, half surrogate pairs included. */
const PLAIN = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;
/** Measured: up to here the test is cheaper than a call of JSON.stringify, 14 to 44 ns for 11 characters. */
const SHORT = 64;

function encodeString(value: string): string {
  return value.length <= SHORT && PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
}

function encodeInteger(value: bigint): string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? String(number) : `{"$int":"${value}"}`;
}

/** JavaScript's shortest text that reads back the same, given a point if it could pass for an INTEGER. */
function encodeReal(value: number): string {
  if (Number.isInteger(value)) {
    if (Object.is(value, -0)) return '-0.0';
    const text = String(value);
    return Math.abs(value) < 1e21 ? `${text}.0` : text;
  }
  if (Number.isFinite(value)) return String(value);
  if (value === Infinity) return '{"$real":"inf"}';
  // SQLite has no NaN: it is NULL.
  return value === -Infinity ? '{"$real":"-inf"}' : 'null';
}
