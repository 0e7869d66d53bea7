/**
 * SQL values as JavaScript values, and both as the public API's JSON.
 *
 * | JavaScript | SQL | JSON in a request |
 * | --- | --- | --- |
 * | `null` | NULL | `null` |
 * | `bigint` | INTEGER | `7`, beyond 2^53 `{"$int":"9007199254740993"}` |
 * | `number` without fraction | INTEGER | `7` |
 * | `number` with fraction, `real(5)` | REAL | `7.5`, `5.0` |
 * | `Infinity` | REAL | `{"$real":"inf"}` |
 * | `boolean` | INTEGER 1 or 0 | `true` |
 * | `string` | TEXT | `"text"` |
 * | `Uint8Array`, `ArrayBuffer` | BLOB | `{"$blob":"<base64>"}` |
 */
export type SqlInput = null | bigint | number | boolean | string | Uint8Array | ArrayBuffer | Real | RawText;

/** What a result holds: see {@link decodeValue}. */
export type SqlOutput = null | bigint | number | string | Uint8Array | RawText;

/** Arguments of a statement: in order for `?`, by name (with or without `:`, `@`, `$`) for named parameters. */
export type SqlArguments = readonly SqlInput[] | Readonly<Record<string, SqlInput>>;

/** How INTEGERs come back: `number` (beyond 2^53 a `bigint`), or `bigint` always. */
export type IntegerMode = 'number' | 'bigint';

/** A REAL whose value may be integral: what {@link real} makes. */
export class Real {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** TEXT whose bytes are not valid UTF-8, so that no JavaScript string can hold it. */
export class RawText {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/**
 * A REAL, also where the value has no fraction. A plain `5` is sent as INTEGER, which differs from 5.0 in
 * columns without affinity, in `typeof()` and in division.
 *
 * @example
 * await db.query('SELECT ? / 2', [real(5)]); // 2.5; with a plain 5 it is 2
 */
export function real(value: number): Real {
  return new Real(value);
}

/** A value as the JSON text that a request carries. Throws a TypeError that says what to send instead. */
export function encodeValue(value: SqlInput): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return encodeInteger(value);
    case 'number':
      return Number.isInteger(value) && Number.isSafeInteger(value) ? String(value) : encodeReal(value);
    default:
      return value === null ? 'null' : encodeObject(value);
  }
}

/** Arguments as JSON text: an array or an object, as given. */
export function encodeArguments(args: SqlArguments): string {
  if (Array.isArray(args)) return `[${args.map(encodeValue).join(',')}]`;
  const entries = Object.entries(args as Record<string, SqlInput>);
  return `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${encodeValue(value)}`).join(',')}}`;
}

/** One row of an import as a line of NDJSON. */
export function encodeRow(row: SqlArguments): string {
  return encodeArguments(row);
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

function encodeInteger(value: bigint): string {
  if (value < INT64_MIN || value > INT64_MAX) {
    throw new TypeError(`${value} does not fit SQLite's 64-bit INTEGER; send it as a string`);
  }
  const number = Number(value);
  return Number.isSafeInteger(number) ? String(value) : `{"$int":"${value}"}`;
}

/** A number is REAL to the server only with a point or an exponent, which `String(5)` and `String(1e20)` lack. */
function encodeReal(value: number): string {
  if (Number.isNaN(value)) throw new TypeError('NaN is no SQL value; send null');
  if (!Number.isFinite(value)) return `{"$real":"${value > 0 ? 'inf' : '-inf'}"}`;
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function encodeObject(value: Uint8Array | ArrayBuffer | Real | RawText): string {
  if (value instanceof Real) return encodeReal(value.value);
  if (value instanceof RawText) return `{"$text":"${toBase64(value.bytes)}"}`;
  if (value instanceof Uint8Array) return `{"$blob":"${toBase64(value)}"}`;
  if (value instanceof ArrayBuffer) return `{"$blob":"${toBase64(new Uint8Array(value))}"}`;
  throw new TypeError(`${describe(value)} is no SQL value; ${remedy(value)}`);
}

function describe(value: unknown): string {
  return value === undefined ? 'undefined' : `a ${(value as object).constructor?.name ?? typeof value}`;
}

function remedy(value: unknown): string {
  if (value === undefined) return 'send null';
  if ((value as object) instanceof Date) return 'send date.toISOString() or date.getTime()';
  return 'send JSON.stringify(value)';
}

/**
 * A value of a reply. `value` comes out of `parseReply`: INTEGERs beyond 2^53, BLOBs, infinities and raw
 * text are tagged objects, all else is plain JSON.
 */
export function decodeValue(value: unknown): SqlOutput {
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'boolean' ? Number(value) : (value as SqlOutput);
  }
  const tagged = value as { $int?: string; $blob?: string; $real?: string; $text?: string };
  if (tagged.$int !== undefined) return BigInt(tagged.$int);
  if (tagged.$blob !== undefined) return fromBase64(tagged.$blob);
  if (tagged.$real !== undefined) return tagged.$real === '-inf' ? -Infinity : Infinity;
  if (tagged.$text !== undefined) return new RawText(fromBase64(tagged.$text));
  throw new TypeError(`the server sent a value this client does not know: ${JSON.stringify(value)}`);
}

/** Rows of a reply, decoded in place: most rows hold nothing but plain JSON, and copying them would cost most. */
export function decodeRows(rows: unknown[][]): SqlOutput[][] {
  for (const row of rows) {
    for (let index = 0; index < row.length; index++) {
      const value = row[index];
      if (typeof value === 'object' && value !== null) row[index] = decodeValue(value);
    }
  }
  return rows as SqlOutput[][];
}

/**
 * Parses a reply. `JSON.parse` makes one number of `5` and `5.0`; in mode `bigint` the source text of each
 * number decides: no point and no exponent is an INTEGER. Every rows' number passes through the reviver then,
 * which makes it the slower mode.
 */
export function parseReply(text: string, integers: IntegerMode): unknown {
  if (integers === 'number') return JSON.parse(text);
  return JSON.parse(text, exactNumbers);
}

function exactNumbers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number') return value;
  if (context?.source === undefined) {
    throw new Error(
      "integers: 'bigint' needs JSON.parse with source text access (Node 21, any current browser)",
    );
  }
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

/** `String.fromCharCode` takes its bytes as arguments, of which engines allow some 100,000. */
const BYTES_PER_CALL = 0x8000;

export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let start = 0; start < bytes.length; start += BYTES_PER_CALL) {
    binary += String.fromCharCode(...bytes.subarray(start, start + BYTES_PER_CALL));
  }
  return btoa(binary);
}

export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}
