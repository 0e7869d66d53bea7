import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommitId, Term, Timestamp } from '../../../src/base/brand.ts';
import type { AppendResult } from '../../../src/core/replication/follower.ts';
import {
  answered,
  batchSent,
  INFLIGHT_BYTES_MAX,
  INFLIGHT_MAX,
  interrupted,
  maySend,
  needsSnapshot,
  PROGRESS_BYTES_MAX,
  type Progress,
  snapshotSent,
  startProgress,
} from '../../../src/core/replication/progress.ts';
import type { ReadBatch } from '../../../src/core/replication/shipping.ts';

const term = 1 as Term;
const at = (commitId: number, offset = 0) => ({ commitId: commitId as CommitId, term, offset });

/** A batch that follows what was sent and has one entry of so many bytes. */
function batch({ sent }: Progress, bytes = 10): ReadBatch {
  return {
    previous: sent,
    entries: [new Uint8Array(bytes)],
    piece: null,
    end: at(sent.commitId + 1),
    last: 99 as CommitId,
  };
}

function answer(kind: AppendResult['kind'], commitId: number, offset = 0): AppendResult {
  return { kind, position: { ...at(commitId, offset), timestamp: '' as Timestamp } };
}

const send = (progress: Progress, bytes?: number) => batchSent(progress, batch(progress, bytes));
const replicating = (commitId: number) =>
  answered(send(startProgress(at(commitId))), answer('appended', commitId + 1));

describe('what a leader may send', () => {
  test('while it guesses where the log ends: one message, until it is answered', () => {
    const probing = send(startProgress(at(5)));
    expect(maySend(probing)).toBe(false);
    const known = answered(probing, answer('appended', 6));
    expect(known).toMatchObject({ state: 'replicate', match: at(6), inflight: [] });
    expect(maySend(known)).toBe(true);
  });

  test('then as many as the window has room for, in number', () => {
    let progress = replicating(0);
    for (let i = 0; i < INFLIGHT_MAX; i++) progress = send(progress);
    expect(maySend(progress)).toBe(false);
    expect(maySend(answered(progress, answer('appended', 2)))).toBe(true);
  });

  test('and in bytes', () => {
    const progress = send(replicating(0), INFLIGHT_BYTES_MAX);
    expect(maySend(progress)).toBe(false);
    expect(maySend(answered(progress, answer('appended', 2)))).toBe(true);
  });

  test('an answer frees all that it covers', () => {
    const progress = send(send(send(replicating(0))));
    const next = answered(progress, answer('appended', 3));
    expect(next.inflight.map(([commitId]) => commitId)).toEqual([4]);
    expect(next.sent).toEqual(at(4));
  });
});

describe('what was lost is sent again', () => {
  test('from where the follower says that it is', () => {
    const progress = answered(send(send(replicating(0))), answer('gap', 1));
    expect(progress).toMatchObject({ state: 'probe', sent: at(1), inflight: [] });
  });

  test('once, though every message behind the lost one is rejected', () => {
    const lost = answered(send(send(send(replicating(0)))), answer('gap', 1));
    const again = answered(send(lost), answer('appended', 4));
    expect(again.match).toEqual(at(4));
    expect(answered(again, answer('gap', 1))).toEqual(again);
  });

  test('even what was thought to have arrived', () => {
    const probing = send(interrupted(replicating(6)));
    expect(answered(probing, answer('gap', 4))).toMatchObject({ match: at(4), sent: at(4), inflight: [] });
  });

  test('from the middle of an entry that comes in pieces', () => {
    const progress = answered(send(startProgress(at(5))), answer('appended', 5, 700));
    expect(progress).toMatchObject({ match: at(5, 700), sent: at(6) });
    expect(answered(progress, answer('gap', 5, 700)).sent).toEqual(at(5, 700));
  });

  test('after an interruption', () => {
    const progress = interrupted(send(send(replicating(0))));
    expect(progress).toMatchObject({ state: 'probe', match: at(1), sent: at(1), inflight: [] });
  });
});

describe('a snapshot', () => {
  test('is needed by a follower that has nothing, or another log', () => {
    expect(startProgress(null).state).toBe('snapshot');
    const diverged = answered(send(replicating(0)), answer('diverged', 1));
    expect(diverged.state).toBe('snapshot');
    expect(maySend(diverged)).toBe(false);
    expect(interrupted(diverged)).toEqual(diverged);
  });

  test('ends when the follower has what it contains', () => {
    const sending = snapshotSent(needsSnapshot(startProgress(at(3))), 20 as CommitId);
    expect(answered(sending, answer('stale', 19)).state).toBe('snapshot');
    expect(answered(sending, answer('stale', 20))).toMatchObject({
      state: 'probe',
      sent: at(20),
      snapshot: null,
    });
  });
});

test('property: whatever happens, it is plain data within its bound and never more than the window', () => {
  const large = fc.integer({ min: 2 ** 40, max: 2 ** 50 });
  fc.assert(
    fc.property(
      large,
      fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 20 })), { maxLength: 60 }),
      (start, steps) => {
        let progress = startProgress(at(start));
        for (const [step, size] of steps) {
          if (step <= 2 && maySend(progress)) progress = send(progress, size * 100_000);
          else if (step === 3) progress = answered(progress, answer('appended', start + size));
          else if (step === 4) progress = answered(progress, answer('gap', start + size));
          else if (step === 5) progress = interrupted(progress);
          expect(progress.inflight.length).toBeLessThanOrEqual(INFLIGHT_MAX);
          expect(progress.sent.commitId).toBeGreaterThanOrEqual(progress.match.commitId);
          const text = JSON.stringify(progress);
          expect(text.length).toBeLessThanOrEqual(PROGRESS_BYTES_MAX);
          expect(JSON.parse(text)).toEqual(progress);
        }
      },
    ),
  );
});
