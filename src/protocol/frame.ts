import { assert } from '../base/assert.ts';
import { crc32c } from './crc32c.ts';
import { AtollError } from './error.ts';

/**
 * The unit of a link between hosts: docs/protocol.md, "Frames". Big-endian:
 *
 *     magic A7 01 · format u8 · kind u8 · flags u8 · id u32 · deadline u32 · type (u8 length, ASCII)
 *     · head (u32 length, JSON) · data (u32 length, bytes) · CRC-32C u32 of all before it
 */
export interface Frame {
  readonly kind: 'call' | 'reply' | 'event';
  /** Of a call, and of its reply; 0 for an event. */
  readonly id: number;
  /** How long the caller waits from the sending on, ms; 0 if it does not say. */
  readonly deadlineMs: number;
  /** Name of the message; for the reply to a call that failed, {@link ERROR_TYPE}. 1 to 255 characters of ASCII. */
  readonly type: string;
  /** The message: any JSON value. */
  readonly head: unknown;
  /** Attached bytes. In a decoded frame a view of the bytes that were decoded. */
  readonly data: Uint8Array;
}

/** One piece of an encoded frame that is too large for one. */
export interface Part {
  readonly kind: 'part';
  /** Counts from 0 within the message. */
  readonly index: number;
  /** Of the whole encoded frame that the parts make up. */
  readonly totalBytes: number;
  readonly piece: Uint8Array;
}

/** Type of a reply whose head is `{error}`, as the public API's. No call may have it. */
export const ERROR_TYPE = 'error';

/** Largest frame on the wire (chosen: WebSocket messages may have 32 MiB in workerd, and small ones let others pass). */
export const FRAME_BYTES_MAX = 1 << 20;
/** Largest frame that parts may make up (chosen: half of an object's memory). */
export const MESSAGE_BYTES_MAX = 64 << 20;

const FORMAT = 1;
const KINDS = ['call', 'reply', 'event', 'part'] as const;
/** Up to the length of the type. */
const FIXED_BYTES = 13;
/** All that a frame has besides type, head and data. */
export const OVERHEAD_BYTES = FIXED_BYTES + 1 + 4 + 4 + 4;
/** What one part carries of its message. */
export const PIECE_BYTES_MAX = FRAME_BYTES_MAX - OVERHEAD_BYTES;

/** The bytes are no frame. Its message is for the other host's log, short enough for a WebSocket's close reason. */
export class FrameError extends Error {
  override name = 'FrameError';
}

/** This folder is checked together with core, for which there is no runtime; each of Atoll's has these two. */
declare const TextEncoder: new () => {
  encode(text: string): Uint8Array;
  encodeInto(text: string, target: Uint8Array): { readonly written: number };
};
declare const TextDecoder: new (
  label: 'utf-8',
  options: { readonly fatal: true; readonly ignoreBOM: true },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Most heads are small: they are encoded here, and copied. */
const scratch = new Uint8Array(8192);
const EMPTY = new Uint8Array(0);

/**
 * The frame's bytes, whatever their number: more than {@link FRAME_BYTES_MAX} must go in parts. Of a head that JSON has no
 * text for, a bad type or id: an AssertionError. Error: `too-large`, past {@link MESSAGE_BYTES_MAX}.
 */
export function encodeFrame(frame: Frame): Uint8Array {
  const { kind, id, deadlineMs, type, head, data } = frame;
  assert(/^[\x21-\x7e]{1,255}$/.test(type), () => `no type of a frame: ${type}`);
  const text = JSON.stringify(head) as string | undefined;
  assert(text !== undefined, () => `the head of a '${type}' has no JSON`);
  const headBytes = encodeText(text);
  const size = OVERHEAD_BYTES + type.length + headBytes.length + data.length;
  if (size > MESSAGE_BYTES_MAX) {
    const limit = `more than the ${MESSAGE_BYTES_MAX} that a message between hosts may have`;
    throw new AtollError('too-large', `a '${type}' of ${size} bytes, ${limit}`);
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = writeStart(view, kind, id, deadlineMs);
  at = writeType(bytes, at, type);
  at = writeBytes(view, at, headBytes);
  at = writeBytes(view, at, data);
  view.setUint32(at, crc32c(bytes, 0, at));
  return bytes;
}

/** The piece is at most {@link PIECE_BYTES_MAX} long. */
export function encodePart({ index, totalBytes, piece }: Part): Uint8Array {
  assert(piece.length > 0 && piece.length <= PIECE_BYTES_MAX, () => `a part of ${piece.length} bytes`);
  const bytes = new Uint8Array(OVERHEAD_BYTES + piece.length);
  const view = new DataView(bytes.buffer);
  let at = writeStart(view, 'part', index, totalBytes);
  at = writeType(bytes, at, '');
  at = writeBytes(view, at, EMPTY);
  at = writeBytes(view, at, piece);
  view.setUint32(at, crc32c(bytes, 0, at));
  return bytes;
}

/** For a result that is used up before the next call. */
function encodeText(text: string): Uint8Array {
  if (text.length * 3 > scratch.length) return encoder.encode(text);
  return scratch.subarray(0, encoder.encodeInto(text, scratch).written);
}

function writeStart(view: DataView, kind: (typeof KINDS)[number], id: number, deadlineMs: number): number {
  assert(isUint32(id) && isUint32(deadlineMs), () => `no frame has id ${id} and deadline ${deadlineMs}`);
  view.setUint32(0, 0xa7010000 | (FORMAT << 8) | (KINDS.indexOf(kind) + 1));
  view.setUint32(5, id);
  view.setUint32(9, deadlineMs);
  return FIXED_BYTES;
}

function writeType(bytes: Uint8Array, at: number, type: string): number {
  bytes[at] = type.length;
  for (let i = 0; i < type.length; i++) bytes[at + 1 + i] = type.charCodeAt(i);
  return at + 1 + type.length;
}

function writeBytes(view: DataView, at: number, content: Uint8Array): number {
  view.setUint32(at, content.length);
  new Uint8Array(view.buffer).set(content, at + 4);
  return at + 4 + content.length;
}

function isUint32(value: number): boolean {
  return value >>> 0 === value;
}

/** A frame that came as a whole. `bytesMax`: for one made up of parts, or before the other host is known. Error: FrameError. */
export function decodeFrame(bytes: Uint8Array, bytesMax: number = FRAME_BYTES_MAX): Frame {
  const frame = decodeAny(bytes, bytesMax);
  if (frame.kind === 'part') throw new FrameError('a part of a message where a whole one belongs');
  return frame;
}

/**
 * Reads no more than the lengths that are checked against the bytes there are: nothing is allocated by what a header
 * claims. The checksum comes before all that it protects. Error: FrameError.
 */
export function decodeAny(bytes: Uint8Array, bytesMax: number = FRAME_BYTES_MAX): Frame | Part {
  const size = bytes.length;
  if (size > bytesMax) throw new FrameError(`a frame of ${size} bytes, where at most ${bytesMax} may come`);
  if (size < OVERHEAD_BYTES) throw new FrameError(`a frame of ${size} bytes is none`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  if (view.getUint16(0) !== 0xa701) throw new FrameError('no frame: it does not begin with A7 01');
  const format = view.getUint8(2);
  if (format !== FORMAT) throw new FrameError(`frame format ${format}; this host knows format ${FORMAT}`);
  const end = size - 4;
  if (view.getUint32(end) !== crc32c(bytes, 0, end)) throw new FrameError('the checksum is wrong');

  const typeEnd = FIXED_BYTES + 1 + view.getUint8(FIXED_BYTES);
  const headStart = typeEnd + 4;
  const headEnd = headStart + lengthAt(view, typeEnd, end, 'head');
  const dataStart = headEnd + 4;
  const dataEnd = dataStart + lengthAt(view, headEnd, end, 'data');
  if (dataEnd !== end) throw new FrameError(`${end - dataEnd} bytes too many`);

  const kind = KINDS[view.getUint8(3) - 1];
  const [id, deadlineMs] = [view.getUint32(5), view.getUint32(9)];
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset + dataStart, dataEnd - dataStart);
  if (kind === undefined) throw new FrameError(`a frame of kind ${view.getUint8(3)}`);
  if (kind === 'part') {
    if (headEnd !== OVERHEAD_BYTES - 8) throw new FrameError('a part with a type or a head');
    if (data.length === 0) throw new FrameError('an empty part');
    return { kind, index: id, totalBytes: deadlineMs, piece: data };
  }
  const type = readType(bytes, typeEnd);
  return { kind, id, deadlineMs, type, head: readHead(bytes.subarray(headStart, headEnd)), data };
}

/** The length at `at`, of what must be over before `end`. */
function lengthAt(view: DataView, at: number, end: number, what: string): number {
  if (at + 4 > end) throw new FrameError(`the frame ends before its ${what}`);
  const length = view.getUint32(at);
  if (length > end - at - 4)
    throw new FrameError(`the ${what} says ${length} bytes, more than the frame has`);
  return length;
}

function readType(bytes: Uint8Array, end: number): string {
  let type = '';
  for (let at = FIXED_BYTES + 1; at < end; at++) {
    const code = bytes[at] as number;
    if (code < 0x21 || code > 0x7e) throw new FrameError('the type is not of printable ASCII');
    type += String.fromCharCode(code);
  }
  if (type === '') throw new FrameError('a frame without a type');
  return type;
}

function readHead(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (thrown) {
    throw new FrameError('the head is no JSON in UTF-8', { cause: thrown });
  }
}
