import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommitId, PartitionId, Timestamp } from '../../src/base/brand.ts';
import { AtollError } from '../../src/protocol/error.ts';
import {
  decodeSession,
  demandOn,
  encodeSeen,
  encodeSession,
  mergeSessions,
  newSession,
  SESSION_LENGTH_MAX,
  SESSION_PARTITIONS_MAX,
  type SessionToken,
} from '../../src/protocol/session.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';

const HISTORY = '302f9f8a-f09b-438d-8178-a20ae493fcc0';
const index = fc.oneof(fc.nat(50), fc.maxSafeInteger().map(Math.abs));
const time = fc.tuple(fc.nat(2 ** 31), fc.nat(0xffff), fc.nat(9)).map(([ms, counter, node]) => {
  const text = ms.toString(16).padStart(12, '0') + counter.toString(16).padStart(4, '0');
  return `${text}-p${node}` as Timestamp;
});

interface Commit {
  readonly partition: PartitionId;
  readonly commit: CommitId;
  readonly time: Timestamp;
}

/** One reply after another, each of one partition; later commits of a partition have later times. */
const commits = fc.array(fc.tuple(fc.nat(100), fc.nat(9)), { maxLength: 120 }).map((list) =>
  list.map(
    ([partition, commit]): Commit => ({
      partition: partition as PartitionId,
      commit: commit as CommitId,
      time: `${commit.toString(16).padStart(12, '0')}${partition.toString(16).padStart(4, '0')}-p` as Timestamp,
    }),
  ),
);

function sessionOf(list: readonly Commit[]): SessionToken {
  return list.reduce(
    (session, { partition, commit, time: at }) =>
      mergeSessions(session, { history: HISTORY, seen: new Map([[partition, commit]]), system: 0, time: at }),
    newSession(HISTORY),
  );
}

const token: fc.Arbitrary<SessionToken> = fc.record({
  history: fc.constant(HISTORY),
  seen: fc
    .uniqueArray(fc.tuple(fc.nat(120), index), { maxLength: SESSION_PARTITIONS_MAX, selector: ([id]) => id })
    .map((entries) => new Map(entries as [PartitionId, CommitId][])),
  system: index,
  time: fc.oneof(fc.constant('' as const), time),
});

const base64 = (json: unknown) =>
  Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)).toString('base64url');

describe('a session token', () => {
  test('is read as it was written, and is base64url of compact JSON', () => {
    fc.assert(
      fc.property(token, (session) => {
        const text = encodeSession(session);
        expect(decodeSession(text)).toEqual(session);
        const json = Buffer.from(text, 'base64url').toString();
        expect(base64(json)).toBe(text);
        expect(JSON.stringify(JSON.parse(json))).toBe(json);
      }),
    );
  });

  test('of one reply is the token of a session that has seen this reply only', () => {
    fc.assert(
      fc.property(fc.nat(2000), index, index, time, (partition, commit, system, at) => {
        const id = partition as PartitionId;
        const seen = new Map([[id, commit as CommitId]]);
        expect(encodeSeen(HISTORY, id, commit as CommitId, system, at)).toBe(
          encodeSession({ history: HISTORY, seen, system, time: at }),
        );
      }),
    );
  });

  test('stays far below the length that is read', () => {
    const seen = new Map(
      Array.from({ length: SESSION_PARTITIONS_MAX }, (_, at) => [
        (999_999_000 + at) as PartitionId,
        Number.MAX_SAFE_INTEGER as CommitId,
      ]),
    );
    const node = 'n'.repeat(64);
    const session = {
      history: 'h'.repeat(64),
      seen,
      system: Number.MAX_SAFE_INTEGER,
      time: `${'f'.repeat(16)}-${node}` as Timestamp,
    };
    expect(encodeSession(session).length).toBeLessThan(SESSION_LENGTH_MAX / 2);
    expect(decodeSession(encodeSession(session))).toEqual(session);
  });

  test.each([
    ['', 'nothing'],
    ['x', 'no whole byte'],
    ['s1', 'no JSON'],
    ['a b', 'a space'],
    ['é', 'no base64'],
    [base64('{"v":1'), 'broken JSON'],
    [base64('null'), 'null'],
    [base64([]), 'an array'],
    [base64({}), 'no version'],
    [base64({ v: '1', h: 'h', p: {}, s: 0, t: '' }), 'a version that is text'],
    [base64({ v: 1, h: '', p: {}, s: 0, t: '' }), 'no history'],
    [base64({ v: 1, h: 'a"b', p: {}, s: 0, t: '' }), 'a history with a quote'],
    [base64({ v: 1, h: 'hé', p: {}, s: 0, t: '' }), 'a history beyond ASCII'],
    [base64({ v: 1, h: 'h', p: [], s: 0, t: '' }), 'an array of partitions'],
    [base64({ v: 1, h: 'h', p: { '01': 1 }, s: 0, t: '' }), 'a partition with a zero before it'],
    [base64('{"v":1,"h":"h","p":{"__proto__":1},"s":0,"t":""}'), 'a partition that is no number'],
    [base64({ v: 1, h: 'h', p: { 1: -1 }, s: 0, t: '' }), 'a negative commit'],
    [base64({ v: 1, h: 'h', p: { 1: 1.5 }, s: 0, t: '' }), 'half a commit'],
    [base64({ v: 1, h: 'h', p: { 1: 2 ** 53 }, s: 0, t: '' }), 'a commit beyond 2^53'],
    [base64({ v: 1, h: 'h', p: { 1: '1' }, s: 0, t: '' }), 'a commit that is text'],
    [base64({ v: 1, h: 'h', p: {}, s: null, t: '' }), 'no system commit'],
    [base64({ v: 1, h: 'h', p: {}, s: 0, t: '2026-01-01' }), 'a time that is no log time'],
    [base64({ v: 1, h: 'h', p: {}, s: 0 }), 'no time'],
    [
      base64({
        v: 1,
        h: 'h',
        p: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [at, 1])),
        s: 0,
        t: '',
      }),
      'too many partitions',
    ],
    ['A'.repeat(SESSION_LENGTH_MAX + 1), 'too many characters'],
  ])('is refused when it is %j: %s', (text) => {
    expect(() => decodeSession(text)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  test('of another version is refused with both versions; a field of the future is passed over', () => {
    const fields = { h: 'h', p: {}, s: 0, t: '' };
    expect(() => decodeSession(base64({ v: 2, ...fields }))).toThrow(/version 2.*reads 1/);
    expect(decodeSession(base64({ v: 1, ...fields, later: [1] }))).toEqual(newSession('h'));
  });

  test('never makes the reader throw anything but what the client may see', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json().map(base64), fc.base64String()), (text) => {
        try {
          decodeSession(text);
        } catch (error) {
          expect(error).toBeInstanceOf(AtollError);
        }
      }),
    );
  });
});

describe('merging sessions', () => {
  test('is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(token, token, token, (a, b, c) => {
        expect(mergeSessions(a, b)).toEqual(mergeSessions(b, a));
        expect(mergeSessions(mergeSessions(a, b), c)).toEqual(mergeSessions(a, mergeSessions(b, c)));
        expect(mergeSessions(a, a)).toEqual(a);
        expect(mergeSessions(mergeSessions(a, b), b)).toEqual(mergeSessions(a, b));
      }),
    );
  });

  test('a replica that meets the demand has every commit that the session saw, listed or folded', () => {
    fc.assert(
      fc.property(commits, commits, fc.nat(9), (first, second, applied) => {
        const session = mergeSessions(sessionOf(first), sessionOf(second));
        for (const { partition, commit } of [...first, ...second]) {
          // A replica of the partition that has applied up to some commit.
          const at = `${applied.toString(16).padStart(12, '0')}${partition.toString(16).padStart(4, '0')}-p`;
          const { atLeast, atLeastTime } = demandOn(session, partition);
          expect(atLeast !== undefined || atLeastTime !== undefined).toBe(true);
          if (applied >= (atLeast ?? 0) && at >= (atLeastTime ?? '')) {
            expect(applied).toBeGreaterThanOrEqual(commit);
          }
        }
      }),
    );
  });

  test('demands nothing of a partition that the session has not seen, unless it may be among the folded', () => {
    const few = sessionOf([{ partition: 3 as PartitionId, commit: 7 as CommitId, time: '0-p' as Timestamp }]);
    expect(demandOn(few, 3 as PartitionId)).toEqual({ atLeast: 7 });
    expect(demandOn(few, 2 as PartitionId)).toEqual({});
    const many = sessionOf(
      Array.from({ length: 70 }, (_, at) => ({
        partition: at as PartitionId,
        commit: 1 as CommitId,
        time: `${at.toString(16).padStart(16, '0')}-p` as Timestamp,
      })),
    );
    expect(many.seen.size).toBe(SESSION_PARTITIONS_MAX);
    expect(demandOn(many, 69 as PartitionId)).toEqual({ atLeast: 1 });
    expect(demandOn(many, 5 as PartitionId)).toEqual({ atLeastTime: many.time });
    expect(demandOn(many, 70 as PartitionId)).toEqual({});
  });
});

describe('a seal', () => {
  const seal = new SessionSeal('correct horse battery staple');

  test('is what it was when it was first made: tokens outlive a host', () => {
    expect(seal.seal('eyJ2IjoxfQ')).toBe('eyJ2IjoxfQ.oqJrQ-SnubsnUbRofdBgWw');
  });

  test('is taken from any host with the secret, and from nobody else', () => {
    const token = seal.seal(encodeSession(newSession('h')));
    expect(() => new SessionSeal('correct horse battery staple').check(token)).not.toThrow();
    for (const secret of ['', null, 'another']) {
      expect(() => new SessionSeal(secret).check(token)).toThrow(/no token of this cluster/);
    }
  });

  test('of a token is no seal of another', () => {
    const token = seal.seal(encodeSession(newSession('h')));
    for (let i = 0; i < token.length; i++) {
      const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1);
      expect(() => seal.check(changed)).toThrow(/no token of this cluster/);
    }
    for (const text of ['', '.', `${token}A`, token.slice(0, -1), token.replace('.', '')]) {
      expect(() => seal.check(text)).toThrow(/no token of this cluster/);
    }
  });
});
