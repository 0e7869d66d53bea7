import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Message } from '../../src/rpc/link.ts';
import { ManualClock, type Side, sideOf } from './pair.ts';

/** What becomes of the next frame on its way; `at` picks one of those that wait. */
const fate = fc.record({
  does: fc.constantFrom('call', 'carry', 'carry', 'repeat', 'drop', 'damage', 'wait'),
  at: fc.nat(),
  toLeft: fc.boolean(),
});

test('whatever is late, lost, repeated or damaged: a call is executed once at most, and every call ends', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fate, { maxLength: 80 }), async (fates) => {
      const clock = new ManualClock();
      const executed: unknown[] = [];
      const calls = {
        write: ({ head }: Message) => {
          executed.push(head);
          return { head, data: new Uint8Array(3) };
        },
      };
      const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls })];
      const ends: Promise<unknown>[] = [];
      for (const { does, at, toLeft } of fates) {
        const [from, to]: [Side, Side] = toLeft ? [right, left] : [left, right];
        if (does === 'call') {
          const number = ends.length;
          ends.push(
            left.link
              .call('write', number)
              .then(({ head }) => (head === number ? 'answered' : 'another answer'), codeOf),
          );
        } else if (does === 'wait') clock.advance(at % 10_000);
        else if (from.sent.length > 0) {
          const place = at % from.sent.length;
          const frame = from.sent[place] as Uint8Array;
          if (does !== 'repeat') from.sent.splice(place, 1);
          if (does === 'damage') to.link.receive(damaged(frame, at));
          else if (does !== 'drop') to.link.receive(frame);
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      clock.advance(60_000);
      for (const code of await Promise.all(ends))
        expect(['answered', 'timeout', 'unavailable']).toContain(code);
      expect(executed.length).toBe(new Set(executed).size);
      expect(clock.waiting).toBe(0);
      expect([...left.failures, ...right.failures]).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

function codeOf(error: unknown): unknown {
  return (error as { code: string }).code;
}

function damaged(frame: Uint8Array, at: number): Uint8Array {
  const bytes = frame.slice();
  bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ (1 << (at % 8));
  return bytes;
}
