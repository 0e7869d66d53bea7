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
