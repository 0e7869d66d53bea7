/**
 * A SQL value without loss of type: `bigint` is INTEGER, `number` is REAL, `string` is TEXT,
 * `Uint8Array` is BLOB. TEXT whose bytes are not valid UTF-8 cannot be a JavaScript string, so it
 * travels as its bytes in {@link RawText}.
 */
export type SqlValue = null | bigint | number | string | Uint8Array | RawText;

/** TEXT that is not valid UTF-8, as stored. */
export class RawText {
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}
