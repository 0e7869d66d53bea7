import { describe, expect, test } from 'vitest';
import { COALESCING, Lane, TOGETHER_MAX } from '../../src/gateway/lane.ts';

/** Something on its way, until the test has it answered. */
function sending(lane: Lane<string>) {
  let answer = (): void => undefined;
  let lose = (): void => undefined;
  const sent = new Promise<void>((resolve, reject) => {
    answer = resolve;
    lose = () => reject(new Error('lost'));
  });
  const tracked = lane.track(sent).catch(() => undefined);
  const ended = (how: () => void) => () => {
    how();
    return tracked;
  };
  return { answer: ended(answer), lose: ended(lose) };
}

describe('messages to one receiver', () => {
  test('go alone while it is idle, and together while something is on its way', async () => {
    const lane = new Lane<string>(COALESCING);
    expect(lane.goesAlone(1_000)).toBe(true);
    const first = sending(lane);
    expect(lane.goesAlone(1_000)).toBe(false);
    const gone: string[] = [];
    expect(lane.join('a', 1_000, () => gone.push('go'))).toBe(true);
    expect(lane.join('b', 1_000, () => gone.push('no'))).toBe(false);
    expect(gone).toEqual([]);
    await first.answer();
    expect(gone).toEqual(['go']);
    expect(lane.leave()).toEqual(['a', 'b']);
    expect(lane.goesAlone(1_001)).toBe(true);
  });

  test('are not held up by one that was lost, or is answered late', async () => {
    const lane = new Lane<string>(COALESCING);
    const lost = sending(lane);
    await lost.lose();
    expect(lane.goesAlone(1_000)).toBe(true);
    sending(lane);
    expect(lane.goesAlone(1_000)).toBe(false);
    const later = sending(lane);
    await later.answer();
    expect(lane.goesAlone(1_000)).toBe(true);
  });

  test('are so many at most', () => {
    const lane = new Lane<string>(COALESCING);
    sending(lane);
    for (let i = 0; i < TOGETHER_MAX; i++) {
      expect(lane.goesAlone(1_000)).toBe(false);
      lane.join(`${i}`, 1_000, () => undefined);
    }
    expect(lane.goesAlone(1_000)).toBe(true);
    expect(lane.leave()).toHaveLength(TOGETHER_MAX);
    expect(lane.goesAlone(1_000)).toBe(false);
  });

  test('leave with the next one when whoever was to carry them is gone', () => {
    const lane = new Lane<string>(COALESCING);
    sending(lane);
    expect(lane.join('a', 1_000, () => undefined)).toBe(true);
    expect(lane.join('b', 2_000, () => undefined)).toBe(false);
    expect(lane.join('c', 2_001, () => undefined)).toBe(true);
    expect(lane.leave()).toEqual(['a', 'b', 'c']);
    expect(lane.leave()).toEqual([]);
  });

  describe('of which few meet', () => {
    const MANY = 4;
    const busy = () => {
      const lane = new Lane<string>({ gatherMs: 0, many: MANY });
      const sent = Array.from({ length: MANY }, () => {
        expect(lane.goesAlone(1_000)).toBe(true);
        return sending(lane);
      });
      return { lane, sent };
    };
    /** So many leave together, so many times. */
    const gather = (lane: Lane<string>, together: number, times: number) => {
      for (let i = 0; i < times; i++) {
        for (let k = 0; k < together; k++) lane.join(`${k}`, 1_000, () => undefined);
        expect(lane.leave()).toHaveLength(together);
      }
    };

    test('go alone, however busy the receiver is, until many are on their way', async () => {
      const { lane } = busy();
      expect(lane.goesAlone(1_000)).toBe(false);
      const other = new Lane<string>({ gatherMs: 0, many: MANY });
      for (let i = 0; i < 10 * MANY; i++) {
        const all = [sending(other), sending(other), sending(other)];
        expect(other.goesAlone(1_000)).toBe(true);
        await all[0]?.answer();
        await all[1]?.lose();
        await all[2]?.answer();
      }
    });

    test('go together as long as it is several, and alone again when it is one or two', async () => {
      const { lane, sent } = busy();
      gather(lane, 5, 100);
      expect(lane.goesAlone(1_000)).toBe(false);
      gather(lane, 1, 40);
      expect(lane.goesAlone(1_000)).toBe(true);
      // What was never answered does not count for ever.
      for (let i = 1; i < MANY; i++) sending(lane);
      expect(lane.goesAlone(1_000)).toBe(true);
      for (const each of sent) await each.answer();
      sending(lane);
      expect(lane.goesAlone(1_000)).toBe(false);
    });
  });

  test('go alone for a while where the receiver does not know otherwise', () => {
    const lane = new Lane<string>({ gatherMs: 0, eager: true });
    expect(lane.goesAlone(1_000)).toBe(false);
    lane.unknown(1_000);
    expect([lane.goesAlone(1_001), lane.goesAlone(60_999), lane.goesAlone(61_000)]).toEqual([
      true,
      true,
      false,
    ]);
  });
});
