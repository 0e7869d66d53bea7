import type { CommitId, Epoch, SchemaVersion, TableId, Term, Timestamp } from '../../base/brand.ts';
import { RawText, type SqlValue } from '../../base/sql-value.ts';
import { ByteReader, ByteWriter, DecodeError } from './bytes.ts';
import { type Change, COMMIT_KINDS, type Commit, type CommitHeader, type Image } from './commit.ts';

/**
 * The canonical encoding of values, changes and commits: lossless, and equal bytes mean equal values, so
 * checksums and fingerprints are taken over it. It is the format on the wire; a change of it is a new version.
 *
 * value:  0 NULL · 1 INTEGER int64 · 2 REAL double · 3 TEXT · 4 BLOB · 5 TEXT that is not UTF-8 ·
 *         6 INTEGER −64…63 as one byte, 7 other INTEGER of magnitude < 2^47 as zigzag varint (the shortest
 *         form is the only one)
 * values: count, values
 * change: type, table id, layout, before-image unless create, after-image unless delete
 */
export const ENCODING_VERSION = 1;

const NULL = 0;
const INTEGER = 1;
const REAL = 2;
const TEXT = 3;
const BLOB = 4;
const RAW_TEXT = 5;
const INTEGER_BYTE = 6;
const INTEGER_VARINT = 7;

/** Zigzag of these fits 48 bits, well within a varint's 53 (chosen). */
const VARINT_LIMIT = 2 ** 47;

export function writeValue(writer: ByteWriter, value: SqlValue): void {
  if (value === null) writer.byte(NULL);
  else if (typeof value === 'bigint') writeInteger(writer, value);
  else if (typeof value === 'number') {
    writer.byte(REAL);
    writer.double(value);
  } else if (typeof value === 'string') {
    writer.byte(TEXT);
    writer.text(value);
  } else if (value instanceof RawText) {
    writer.byte(RAW_TEXT);
    writer.bytes(value.bytes);
  } else {
    writer.byte(BLOB);
    writer.bytes(value);
  }
}

function writeInteger(writer: ByteWriter, value: bigint): void {
  const number = Number(value);
  if (number >= -64 && number < 64) {
    writer.byte(INTEGER_BYTE);
    writer.byte(number + 64);
  } else if (Math.abs(number) < VARINT_LIMIT) {
    writer.byte(INTEGER_VARINT);
    writer.varint(number < 0 ? -number * 2 - 1 : number * 2);
  } else {
    writer.byte(INTEGER);
    writer.int64(value);
  }
}

export function readValue(reader: ByteReader): SqlValue {
  const tag = reader.byte();
  switch (tag) {
    case NULL:
      return null;
    case INTEGER:
      return reader.int64();
    case INTEGER_BYTE:
      return BigInt(reader.byte() - 64);
    case INTEGER_VARINT: {
      const zigzag = reader.varint();
      return BigInt(zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2);
    }
    case REAL:
      return reader.double();
    case TEXT:
      return reader.text();
    case BLOB:
      return reader.bytes();
    case RAW_TEXT:
      return new RawText(reader.bytes());
    default:
      throw new DecodeError(`a value of tag ${tag}`);
  }
}

export function writeValues(writer: ByteWriter, values: readonly SqlValue[]): void {
  writer.varint(values.length);
  for (const value of values) writeValue(writer, value);
}

export function readValues(reader: ByteReader): SqlValue[] {
  return Array.from({ length: reader.varint() }, () => readValue(reader));
}

export function encodeValues(values: readonly SqlValue[]): Uint8Array {
  const writer = new ByteWriter();
  writeValues(writer, values);
  return writer.finish();
}

export function decodeValues(bytes: Uint8Array): SqlValue[] {
  return whole(bytes, readValues);
}

/** Whether two rows are equal with their types, and REALs bit by bit. */
export function sameValues(left: readonly SqlValue[], right: readonly SqlValue[]): boolean {
  return left.length === right.length && left.every((value, i) => sameValue(value, right[i] ?? null));
}

export function sameValue(left: SqlValue, right: SqlValue): boolean {
  if (left === null || typeof left !== 'object') return Object.is(left, right);
  if (right === null || typeof right !== 'object') return false;
  if (left instanceof RawText !== right instanceof RawText) return false;
  const a = left instanceof RawText ? left.bytes : left;
  const b = right instanceof RawText ? right.bytes : right;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Whether two lists have the same changes in the same order, image by image. */
export function sameChanges(left: readonly Change[], right: readonly Change[]): boolean {
  return (
    left.length === right.length &&
    left.every((change, i) => {
      const other = right[i];
      return (
        other !== undefined &&
        change.type === other.type &&
        change.layout === other.layout &&
        sameImage(change.before, other.before) &&
        sameImage(change.after, other.after)
      );
    })
  );
}

function sameImage(left: Image | null, right: Image | null): boolean {
  return left === null || right === null ? left === right : sameValues(left, right);
}

/** About what an image takes in memory, for bounds. */
export function imageBytes(image: Image | null): number {
  let bytes = 0;
  for (const value of image ?? []) {
    if (typeof value === 'string' || value instanceof Uint8Array) bytes += value.length;
    else if (value instanceof RawText) bytes += value.bytes.length;
    bytes += 16;
  }
  return bytes;
}

const CHANGE_TYPES = ['create', 'delete', 'update'] as const;

/** A list of changes: the payload of a prepare, for one. */
export function encodeChanges(changes: readonly Change[]): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(ENCODING_VERSION);
  writeChanges(writer, changes);
  return writer.finish();
}

export function decodeChanges(bytes: Uint8Array): Change[] {
  return whole(bytes, (reader) => {
    checkVersion(reader);
    return readChanges(reader);
  });
}

function writeChanges(writer: ByteWriter, changes: readonly Change[]): void {
  writer.varint(changes.length);
  for (const { type, tableId, layout, before, after } of changes) {
    writer.byte(CHANGE_TYPES.indexOf(type));
    writer.varint(tableId);
    writer.varint(layout);
    if (before !== null) writeValues(writer, before);
    if (after !== null) writeValues(writer, after);
  }
}

function readChanges(reader: ByteReader): Change[] {
  return Array.from({ length: reader.varint() }, () => {
    const type = CHANGE_TYPES[reader.byte()];
    if (type === undefined) throw new DecodeError('a change of unknown type');
    const tableId = reader.varint() as TableId;
    const layout = reader.varint();
    const before: Image | null = type === 'create' ? null : readValues(reader);
    const after: Image | null = type === 'delete' ? null : readValues(reader);
    return { type, tableId, layout, before, after };
  });
}

export function encodeCommit({ header, changes }: Commit): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(ENCODING_VERSION);
  writer.varint(header.commitId);
  writer.varint(header.term);
  writer.text(header.timestamp);
  writer.byte(COMMIT_KINDS.indexOf(header.kind));
  writeValue(writer, header.transactionId);
  writeValue(writer, header.commitTimestamp);
  writer.varint(header.epoch);
  writer.varint(header.schemaVersion);
  writeValue(writer, header.payload);
  writeChanges(writer, changes);
  return writer.finish();
}

export function decodeCommit(bytes: Uint8Array): Commit {
  return whole(bytes, (reader) => {
    checkVersion(reader);
    const header = readHeader(reader);
    return { header, changes: readChanges(reader) };
  });
}

function readHeader(reader: ByteReader): CommitHeader {
  const commitId = reader.varint() as CommitId;
  const term = reader.varint() as Term;
  const timestamp = reader.text() as Timestamp;
  const kind = COMMIT_KINDS[reader.byte()];
  if (kind === undefined) throw new DecodeError('a commit of unknown kind');
  const transactionId = textOrNull(readValue(reader));
  const commitTimestamp = textOrNull(readValue(reader)) as Timestamp | null;
  const epoch = reader.varint() as Epoch;
  const schemaVersion = reader.varint() as SchemaVersion;
  const payload = readValue(reader);
  if (payload !== null && typeof payload !== 'string' && !(payload instanceof Uint8Array))
    throw new DecodeError('a payload that is neither text nor bytes');
  return {
    commitId,
    term,
    timestamp,
    kind,
    transactionId,
    commitTimestamp,
    epoch,
    schemaVersion,
    payload,
  };
}

function textOrNull(value: SqlValue): string | null {
  if (value === null || typeof value === 'string') return value;
  throw new DecodeError('text expected');
}

function checkVersion(reader: ByteReader): void {
  const version = reader.byte();
  if (version !== ENCODING_VERSION) throw new DecodeError(`encoding version ${version}`);
}

function whole<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes);
  const value = read(reader);
  if (!reader.done) throw new DecodeError('bytes are left over');
  return value;
}

/** Bytes as a string of the same length, one unit per byte: a map key. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let from = 0; from < bytes.length; from += 4096)
    text += String.fromCharCode(...bytes.subarray(from, from + 4096));
  return text;
}
