import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Ballot,
  castVote,
  closeBallot,
  EDGE,
  electorateOf,
  majorityOf,
  openBallot,
  PRESENT_MS,
  type Vote,
} from '../../../src/core/network/votes.ts';

const ballotOf = (...electorate: string[]) => openBallot(7, 'new', electorate, 100);
const yes = (voter: string, proposal = 7): Vote => ({ proposal, voter, accept: true });
const no = (voter: string, proposal = 7): Vote => ({ proposal, voter, accept: false });

function cast(ballot: Ballot, ...votes: Vote[]): Ballot {
  return votes.reduce((current, vote) => {
    const result = castVote(current, vote, 50);
    return result.kind === 'counted' ? result.ballot : current;
  }, ballot);
}

describe('the electorate', () => {
  test('is the edge and the members that were heard from lately', () => {
    const now = 1_000_000;
    const seenAt = now - PRESENT_MS;
    const members = [
      { host: 'reader', status: 'read', seenAt },
      { host: 'behind', status: 'inactive', seenAt },
      { host: 'away', status: 'read', seenAt: seenAt - 1 },
      { host: 'unheard', status: 'inactive', seenAt: null },
      { host: 'unreliable', status: 'unavailable', seenAt },
      { host: 'proposed', status: 'proposal', seenAt },
      { host: 'gone', status: 'removed', seenAt },
      { host: 'new', status: 'inactive', seenAt },
      { host: EDGE, status: 'write', seenAt: null },
    ] as const;
    expect(electorateOf(members, 'new', now)).toEqual([EDGE, 'behind', 'reader']);
  });

  test('has a majority of more than half', () => {
    expect([1, 2, 3, 4, 5].map((count) => majorityOf(Array.from({ length: count }, String)))).toEqual([
      1, 2, 2, 3, 3,
    ]);
  });
});

describe('a ballot', () => {
  test('is decided by the edge where nobody else is there', () => {
    expect(cast(ballotOf(EDGE), yes(EDGE)).verdict).toBe('accepted');
    expect(cast(ballotOf(EDGE), no(EDGE)).verdict).toBe('refused');
  });

  test('is open while both a majority for and one against can come', () => {
    const ballot = ballotOf(EDGE, 'a', 'b', 'c');
    expect(cast(ballot, yes(EDGE), yes('a')).verdict).toBe('open');
    expect(cast(ballot, yes(EDGE), yes('a'), yes('b')).verdict).toBe('accepted');
    expect(cast(ballot, no('a'), yes('b')).verdict).toBe('open');
    expect(cast(ballot, no('a'), yes('b'), no('c')).verdict).toBe('refused');
  });

  test('counts a host once: a repeat is harmless, and a change of mind comes too late', () => {
    const ballot = cast(ballotOf(EDGE, 'a', 'b'), yes('a'));
    expect(castVote(ballot, yes('a'), 50)).toEqual({ kind: 'repeated' });
    expect(castVote(ballot, no('a'), 50)).toEqual({ kind: 'voted-already' });
    const decided = cast(ballot, yes('b'));
    expect(castVote(decided, yes('a'), 50)).toEqual({ kind: 'repeated' });
    expect(castVote(decided, no(EDGE), 50)).toEqual({ kind: 'closed', verdict: 'accepted' });
  });

  test('ignores votes for another proposal, and of hosts that have none', () => {
    const ballot = ballotOf(EDGE, 'a');
    expect(castVote(ballot, yes('a', 6), 50)).toEqual({ kind: 'other-proposal' });
    expect(castVote(ballot, yes('new'), 50)).toEqual({ kind: 'no-elector' });
    expect(castVote(ballot, yes('constructor'), 50)).toEqual({ kind: 'no-elector' });
  });

  test('ends refused at its deadline, unless it was decided before', () => {
    const ballot = cast(ballotOf(EDGE, 'a', 'b'), yes('a'));
    expect(closeBallot(ballot, 99).verdict).toBe('open');
    expect(closeBallot(ballot, 100).verdict).toBe('refused');
    expect(castVote(ballot, yes('b'), 100)).toEqual({ kind: 'closed', verdict: 'refused' });
    expect(closeBallot(cast(ballot, yes('b')), 100).verdict).toBe('accepted');
  });

  test('comes to the same verdict in whatever order, and however often, the votes arrive', () => {
    const electors = ['e0', 'e1', 'e2', 'e3', 'e4'];
    const votes = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });
    const noise = fc.array(fc.nat(4));
    fc.assert(
      fc.property(votes, fc.shuffledSubarray(electors, { minLength: 5 }), noise, (minds, order, repeats) => {
        const vote = (voter: string): Vote => ({
          proposal: 7,
          voter,
          accept: minds[electors.indexOf(voter)] ?? false,
        });
        const arrivals = [...repeats.map((index) => `e${index}`), ...order].map(vote);
        const accepted = minds.filter((mind) => mind).length >= 3;
        expect(cast(ballotOf(...electors), ...arrivals).verdict).toBe(accepted ? 'accepted' : 'refused');
      }),
    );
  });
});
