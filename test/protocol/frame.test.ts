import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../src/protocol/crc32c.ts';
import { AtollError } from '../../src/protocol/error.ts';
import {
  decodeAny,
  decodeFrame,
  encodeFrame,
  encodePart,
  FRAME_BYTES_MAX,
  type Frame,
  FrameError,
  MESSAGE_BYTES_MAX,
} from '../../src/protocol/frame.ts';
import { ROOT } from '../tidy/sources.ts';

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const frames: fc.Arbitrary<Frame> = fc.record({
  kind: fc.constantFrom('call', 'reply', 'event'),
  id: uint32,
  deadlineMs: uint32,
  type: fc.stringMatching(/^[\x21-\x7e]{1,255}$/),
  head: fc.jsonValue({ depthSize: 'medium' }),
  data: fc.uint8Array({ maxLength: 300 }),
});

const small: Frame = {
  kind: 'call',
  id: 7,
  deadlineMs: 5000,
  type: 'execute',
  head: { shape: 'query', é: [1.5, null, '😀'] },
  data: Uint8Array.from([1, 2, 3, 250]),
};

/** The checksum made right again, so that what is behind it is looked at. */
function sealed(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(
    bytes.length - 4,
    crc32c(bytes, 0, bytes.length - 4),
  );
  return bytes;
}

describe('CRC-32C', () => {
  test('has the values of RFC 3720, appendix B.4', () => {
    const rising = Uint8Array.from({ length: 32 }, (_, index) => index);
    // The appendix prints the bytes as they travel there, lowest first.
    expect(
      [new Uint8Array(32), new Uint8Array(32).fill(255), rising, rising.toReversed()].map((bytes) =>
        crc32c(bytes),
      ),
    ).toEqual([0x8a9136aa, 0x62a8ab43, 0x46dd794e, 0x113fdb5c]);
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  });

  test('is that of one bit after the other, for any part of any bytes', () => {
    const slow = (bytes: Uint8Array) => {
      let crc = 0xffffffff;
      for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
      }
      return (crc ^ 0xffffffff) >>> 0;
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(20), fc.nat(20), (bytes, skip, drop) => {
        const end = Math.max(skip, bytes.length - drop);
        if (end > bytes.length) return;
        expect(crc32c(bytes, skip, end)).toBe(slow(bytes.subarray(skip, end)));
      }),
    );
  });
});

describe('a frame', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(decodeFrame(encodeFrame(frame))).toEqual({
          ...frame,
          head: JSON.parse(JSON.stringify(frame.head)),
        });
      }),
    );
  });

  test('has the bytes that docs/protocol.md shows', () => {
    const text = readFileSync(join(ROOT, 'docs/protocol.md'), 'utf8');
    const section = text.slice(text.indexOf('## Frames'), text.indexOf('## Links'));
    const shown = [...section.matchAll(/```\n([0-9a-f\s]+)```/g)].map(([, hex = '']) =>
      hex.replace(/\s/g, ''),
    );
    const none = new Uint8Array(0);
    const vectors = [
      encodeFrame({ kind: 'call', id: 1, deadlineMs: 30_000, type: 'status', head: {}, data: none }),
      encodeFrame({
        kind: 'event',
        id: 0,
        deadlineMs: 0,
        type: 'append',
        head: { partition: 3, text: 'é' },
        data: Uint8Array.from([0, 1, 254, 255]),
      }),
      encodePart({ kind: 'part', index: 1, totalBytes: 1_048_577, piece: Uint8Array.from([170, 187]) }),
    ];
    expect(shown).toEqual(vectors.map((bytes) => Buffer.from(bytes).toString('hex')));
    for (const vector of vectors) expect(() => decodeAny(vector)).not.toThrow();
  });

  test('lies anywhere in the bytes of another buffer, which it does not copy', () => {
    const bytes = encodeFrame(small);
    const buffer = new Uint8Array(bytes.length + 11);
    buffer.set(bytes, 5);
    const { data } = decodeFrame(buffer.subarray(5, 5 + bytes.length));
    expect(data).toEqual(small.data);
    expect(data.buffer).toBe(buffer.buffer);
  });

  test('cut short at any byte, or with one more, is none', () => {
    const bytes = encodeFrame(small);
    for (let size = 0; size < bytes.length; size++) {
      expect(() => decodeFrame(bytes.slice(0, size)), `${size} bytes`).toThrow(FrameError);
      if (size >= 4)
        expect(() => decodeFrame(sealed(bytes.slice(0, size))), `${size} bytes`).toThrow(FrameError);
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(() => decodeFrame(longer)).toThrow(FrameError);
    expect(() => decodeFrame(sealed(longer))).toThrow(FrameError);
  });

  test('with any one bit changed is none', () => {
    const bytes = encodeFrame(small);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => decodeFrame(changed), `bit ${bit}`).toThrow(FrameError);
    }
  });

  test('is told from any other bytes', () => {
    const start = encodeFrame(small).subarray(0, 3);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.boolean(),
        fc.boolean(),
        (bytes, begins, isSealed) => {
          if (begins) bytes.set(start.subarray(0, Math.min(3, bytes.length)));
          if (isSealed && bytes.length >= 4) sealed(bytes);
          try {
            encodeFrame(decodeFrame(bytes) as Frame);
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(FrameError);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });

  test('does not make memory of what its lengths claim', () => {
    const bytes = encodeFrame(small);
    const typeEnd = 14 + small.type.length;
    const headBytes = new DataView(bytes.buffer).getUint32(typeEnd);
    for (const at of [typeEnd, typeEnd + 4 + headBytes]) {
      for (const claim of [2 ** 30, 2 ** 31, 2 ** 32 - 1, bytes.length]) {
        const changed = bytes.slice();
        new DataView(changed.buffer).setUint32(at, claim);
        expect(() => decodeFrame(sealed(changed))).toThrow(/more than the frame has/);
      }
    }
  });

  test('is refused above the bound before anything of it is read', () => {
    expect(() => decodeFrame(new Uint8Array(FRAME_BYTES_MAX + 1))).toThrow(/at most 1048576/);
    expect(() => decodeFrame(encodeFrame(small), 50)).toThrow(/at most 50/);
  });

  test('of another format version is refused with both named', () => {
    const bytes = encodeFrame(small);
    bytes[2] = 2;
    expect(() => decodeFrame(sealed(bytes))).toThrow('frame format 2; this host knows format 1');
  });

  test('may have flags that a later version sets', () => {
    const bytes = encodeFrame(small);
    bytes[4] = 0x80;
    expect(decodeFrame(sealed(bytes))).toEqual(small);
  });

  test.each([
    ['no kind', 3, 0],
    ['a kind that there is not', 3, 5],
    ['a type of control characters', 14, 10],
    ['a head that is no JSON', 25, 0x7d],
    ['a head that is no UTF-8', 26, 0xff],
  ])('with %s is none', (_, at, value) => {
    const bytes = encodeFrame(small);
    bytes[at] = value;
    expect(() => decodeFrame(sealed(bytes))).toThrow(FrameError);
  });

  test('nested without end is refused, or read, but ends nothing', () => {
    const depth = 200_000;
    const bytes = encodeFrame({ ...small, head: 'x'.repeat(2 * depth - 2) });
    const start = 14 + small.type.length + 4;
    bytes.fill(0x5b, start, start + depth);
    bytes.fill(0x5d, start + depth, start + 2 * depth);
    try {
      decodeFrame(sealed(bytes));
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(FrameError);
    }
  });

  test('is not made of more than a message may have', () => {
    const data = new Uint8Array(MESSAGE_BYTES_MAX);
    expect(() => encodeFrame({ ...small, data })).toThrow(expect.objectContaining({ code: 'too-large' }));
    expect(() => encodeFrame({ ...small, data })).toThrow(AtollError);
  });
});
