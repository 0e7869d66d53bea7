import * as v from 'valibot';
import type { PartitionId, SchemaVersion, Timestamp } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { fromBase64, toBase64 } from '../../protocol/base64.ts';
import { AtollError } from '../../protocol/error.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../../protocol/json-value.ts';
import type { SessionSeal } from '../../protocol/session-seal.ts';

/**
 * Where a paged answer goes on; all of it, since no host keeps anything of it. On the wire: base64url of JSON, and behind a
 * point the cluster's seal. Opaque to clients.
 */
export interface Cursor {
  /** Of the database, and the schema that the statement was planned with. */
  readonly history: string;
  readonly schema: SchemaVersion;
  readonly statement: WireStatement;
  /** The moment that all pages are read as of. */
  readonly at: Timestamp;
  /** Bytes of a page. */
  readonly bytes: number;
  /** Rows that LIMIT still allows; null: without it. */
  readonly left: bigint | null;
  readonly place: CursorPlace;
}

/** Behind which row the next page begins: whose partition, and what it is sorted by. No values: before its first row. */
export interface CursorPlace {
  readonly partition: PartitionId;
  readonly values: readonly SqlValue[];
}

/** Longest cursor that is read or written, characters (chosen: of what a request may have, a small part). */
export const CURSOR_LENGTH_MAX = 1024 * 1024;
/** Of this format; others are refused. */
const VERSION = 1;
const PURPOSE = 'page';

const Fields = v.strictObject({
  v: v.literal(VERSION),
  h: v.string(),
  s: v.number(),
  q: v.string(),
  a: v.optional(v.unknown()),
  t: v.string(),
  b: v.number(),
  l: v.nullable(v.string()),
  p: v.number(),
  k: v.array(v.unknown()),
});

/** Error: `result-too-large` where a row's place is too large to be sent to and fro. */
export function encodeCursor(cursor: Cursor, seal: SessionSeal): string {
  const { history, schema, statement, at, bytes, left, place } = cursor;
  const fields = {
    v: VERSION,
    h: history,
    s: schema,
    q: statement.sql,
    a: statement.args,
    t: at,
    b: bytes,
    l: left === null ? null : String(left),
    p: place.partition,
  };
  const json = `${JSON.stringify(fields).slice(0, -1)},"k":${encodeRow(place.values)}}`;
  const text = toBase64(new TextEncoder().encode(json))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
  if (text.length <= CURSOR_LENGTH_MAX - 32) return seal.sealFor(PURPOSE, text);
  throw new AtollError(
    'result-too-large',
    `the place where the next page begins has more than ${CURSOR_LENGTH_MAX} characters: send shorter args, and sort by shorter values`,
  );
}

/** The seal is not looked at: see {@link checkCursor}. Error: `bad-request` for what is no cursor. */
export function decodeCursor(text: string): Cursor {
  const [body = ''] = text.split('.', 1);
  const bytes = /^[\w-]+$/.test(body) ? fromBase64(body.replaceAll('-', '+').replaceAll('_', '/')) : null;
  const fields = bytes === null ? null : fieldsOf(bytes);
  if (fields === null) throw noCursor();
  return {
    history: fields.h,
    schema: fields.s as SchemaVersion,
    statement: fields.a === undefined ? { sql: fields.q } : { sql: fields.q, args: fields.a },
    at: fields.t as Timestamp,
    bytes: fields.b,
    left: fields.l === null ? null : BigInt(fields.l),
    place: { partition: fields.p as PartitionId, values: decodeRow(fields.k) },
  };
}

function fieldsOf(bytes: Uint8Array): v.InferOutput<typeof Fields> | null {
  try {
    const result = v.safeParse(
      Fields,
      parseJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)),
    );
    return result.success && /^\d+$/.test(result.output.l ?? '0') ? result.output : null;
  } catch {
    return null;
  }
}

/** Error: `bad-request` for a cursor that no host of this cluster has made. */
export function checkCursor(text: string, seal: SessionSeal): void {
  if (!seal.isSealedFor(PURPOSE, text)) throw noCursor();
}

function noCursor(): AtollError {
  return new AtollError(
    'bad-request',
    'cursor is none of this cluster: send one as it came, or begin with the statement',
    'none',
    { field: 'cursor' },
  );
}
