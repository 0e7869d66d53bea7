import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeFrame,
  encodePart,
  FRAME_BYTES_MAX,
  type Frame,
  FrameError,
} from '../../src/protocol/frame.ts';
import { Assembler, encodeMessage } from '../../src/rpc/parts.ts';

function frameOf(dataBytes: number): Frame {
  const data = new Uint8Array(dataBytes);
  for (let at = 0; at < dataBytes; at += 997) data[at] = at;
  return { kind: 'reply', id: 9, deadlineMs: 0, type: 'snapshot-page', head: { base: 12 }, data };
}

const SMALL = encodeFrame(frameOf(10));
const small = (): Uint8Array => SMALL.slice();

describe('a message larger than a frame', () => {
  test('comes back as it was, of any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: -200, max: 200 }), fc.integer({ min: 1, max: 3 }), (more, times) => {
        const frame = frameOf(times * FRAME_BYTES_MAX + more);
        const assembler = new Assembler();
        const sent = encodeMessage(frame);
        for (const bytes of sent) expect(bytes.length).toBeLessThanOrEqual(FRAME_BYTES_MAX);
        const received = sent.map((bytes) => assembler.add(bytes));
        expect(received.slice(0, -1).every((each) => each === null)).toBe(true);
        const last = received.at(-1) as Frame;
        expect(Buffer.compare(last.data, frame.data)).toBe(0);
        expect({ ...last, data: null }).toEqual({ ...frame, data: null });
        // The next one begins anew.
        expect(assembler.add(small())).not.toBe(null);
      }),
      { numRuns: 20 },
    );
  });

  test('is refused above the bound by its first part', () => {
    const [first] = encodeMessage(frameOf(3 * FRAME_BYTES_MAX)) as [Uint8Array];
    expect(() => new Assembler(2 * FRAME_BYTES_MAX).add(first)).toThrow(/at most 2097152/);
  });

  test('of 1 GB is refused by what its first part says', () => {
    const first = encodePart({ kind: 'part', index: 0, totalBytes: 2 ** 30, piece: new Uint8Array(10) });
    expect(() => new Assembler().add(first)).toThrow(
      /a message of 1073741824 bytes, where at most 67108864 may come/,
    );
  });

  const [first, second, third] = encodeMessage(frameOf(2.5 * FRAME_BYTES_MAX)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const other = encodeMessage(frameOf(2.6 * FRAME_BYTES_MAX)) as [Uint8Array, Uint8Array, Uint8Array];
  const tiny = encodePart({
    kind: 'part',
    index: 1,
    totalBytes: 2 * FRAME_BYTES_MAX,
    piece: new Uint8Array(1),
  });
  const inner = encodePart({ kind: 'part', index: 0, totalBytes: SMALL.length, piece: SMALL });
  test.each([
    ['that begin in the middle', [second]],
    ['of which one is missing', [first, third]],
    ['of which one comes twice', [first, second, second]],
    ['with another message in between', [first, small()]],
    ['of two messages', [first, other[1]]],
    ['that are not full', [first, tiny]],
    ['of what fits in one frame', [inner]],
  ])('parts %s are refused', (_, parts) => {
    const assembler = new Assembler();
    for (const part of parts.slice(0, -1)) expect(assembler.add(part)).toBe(null);
    expect(() => assembler.add(parts.at(-1) as Uint8Array)).toThrow(FrameError);
  });
});
