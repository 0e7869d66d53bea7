import { assert } from '../../base/assert.ts';
import { decodeUtf8, writeAscii, writeUtf8 } from '../sqlite/utf8.ts';

/** Grows as it is written. Varints are LEB128 of non-negative safe integers; doubles are big-endian. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #size = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#size++] = value;
  }

  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, () => `no varint: ${value}`);
    this.#reserve(8);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.#bytes[this.#size++] = (rest % 128) | 0x80;
    this.#bytes[this.#size++] = rest;
  }

  int64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.#size, value);
    this.#size += 8;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#size, value);
    this.#size += 8;
  }

  /** Length, then the bytes. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#size);
    this.#size += value.length;
  }

  /** Length in bytes, then UTF-8. */
  text(value: string): void {
    if (this.#ascii(value)) return;
    const size = utf8Size(value);
    this.varint(size);
    this.#reserve(size + 3);
    this.#size = writeUtf8(value, this.#bytes, this.#size);
  }

  /** Nearly all text is: one pass. False, and nothing written, for any other. */
  #ascii(value: string): boolean {
    const start = this.#size;
    this.varint(value.length);
    this.#reserve(value.length);
    const isAscii = writeAscii(value, this.#bytes, this.#size);
    this.#size = isAscii ? this.#size + value.length : start;
    return isAscii;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }

  /** Forgets what was written, and keeps the memory for what follows. */
  clear(): void {
    this.#size = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#resize(KEPT_BYTES_MAX);
  }

  #reserve(count: number): void {
    const needed = this.#size + count;
    if (needed <= this.#bytes.length) return;
    const written = this.#bytes.subarray(0, this.#size);
    this.#resize(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.set(written);
  }

  #resize(size: number): void {
    this.#bytes = new Uint8Array(size);
    this.#view = new DataView(this.#bytes.buffer);
  }
}

/** What a writer that is used again keeps (chosen: twice a page of a snapshot). */
const KEPT_BYTES_MAX = 1024 * 1024;

function utf8Size(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    if (code < 0x800) size += 1;
    else if (code >= 0xd800 && code < 0xdc00 && isLow(text.charCodeAt(i + 1))) {
      size += 2;
      i++;
    } else size += 2;
  }
  return size;
}

function isLow(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}

/** Reads what {@link ByteWriter} wrote; a {@link DecodeError} where the bytes end early or are none of it. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw new DecodeError('a varint beyond 2^53');
      if (byte < 0x80) return value;
    }
  }

  int64(): bigint {
    return this.#view.getBigInt64(this.#take(8));
  }

  double(): number {
    return this.#view.getFloat64(this.#take(8));
  }

  bytes(): Uint8Array {
    const size = this.varint();
    const at = this.#take(size);
    return this.#bytes.slice(at, at + size);
  }

  text(): string {
    const size = this.varint();
    const at = this.#take(size);
    const text = decodeUtf8(this.#bytes.subarray(at, at + size));
    if (text === null) throw new DecodeError('text that is not UTF-8');
    return text;
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw new DecodeError('the bytes end early');
    this.#at = at + count;
    return at;
  }
}

/** Bytes that are not the encoding they should be: damaged, or of another version. */
export class DecodeError extends Error {
  override name = 'DecodeError';
}
