import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AppendResult } from '../../src/core/replication/follower.ts';
import { Acknowledgements } from '../../src/node-agent/replication/acknowledgements.ts';

const result = (commitId: number, kind: AppendResult['kind'] = 'appended') =>
  ({ kind, position: { commitId, term: 1, timestamp: '', offset: 0 } }) as unknown as AppendResult;

describe('answers to a leader', () => {
  let sent: [string, number][];
  let answers: Acknowledgements;

  beforeEach(() => {
    vi.useFakeTimers();
    sent = [];
    answers = new Acknowledgements(({ kind, position }) => sent.push([kind, position.commitId]));
  });
  afterEach(() => vi.useRealTimers());

  const add = (commitId: number, kind?: AppendResult['kind'], bytes = 10) =>
    answers.add(result(commitId, kind), bytes, Date.now());

  test('the first after a pause goes at once, those close behind it share one', () => {
    add(1);
    expect(sent).toEqual([['appended', 1]]);
    add(2);
    add(3);
    expect(sent).toHaveLength(1);
    vi.advanceTimersByTime(200);
    expect(sent.slice(1)).toEqual([['appended', 3]]);
    vi.advanceTimersByTime(500);
    expect(sent).toHaveLength(2);
  });

  test('many, large ones, and what did not go as meant do not wait', () => {
    for (let id = 1; id <= 13; id++) add(id);
    expect(sent).toEqual([
      ['appended', 1],
      ['appended', 13],
    ]);
    add(14, 'appended', 2 ** 20);
    add(15, 'gap');
    expect(sent.slice(2)).toEqual([
      ['appended', 14],
      ['gap', 15],
    ]);
  });

  test('what waits is forgotten with its link', () => {
    add(1);
    add(2);
    answers.clear();
    vi.advanceTimersByTime(500);
    expect(sent).toHaveLength(1);
  });
});
