import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import { assert } from '../../../src/base/assert.ts';
import { Follower } from '../../../src/core/replication/follower.ts';
import type { Position } from '../../../src/core/replication/position.ts';
import {
  type AppendBatch,
  decodeBatch,
  encodeBatch,
  readBatch,
} from '../../../src/core/replication/shipping.ts';
import { SnapshotTarget } from '../../../src/core/replication/snapshot-target.ts';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import { quoteName } from '../../../src/core/sqlite/quote.ts';
import { arbitraryHistory, type History } from '../log/arbitrary-history.ts';
import { catchUp, copy, sent } from './copy.ts';
import { Leader, stateOf } from './leader.ts';

/**
 * What replication promises, on any pair of engines: whatever a leader does, and whatever becomes of the messages, a
 * follower that is given all in the end has the leader's rows, log and schema.
 */

/** Where a database lives, and how a later process opens it again. */
export interface Place {
  readonly leader: SqlitePort;
  readonly follower: () => SqlitePort;
}

export interface Coverage {
  commits: number;
  schemaChanges: number;
  copies: number;
  gone: number;
  stale: number;
  gaps: number;
  pieces: number;
}

interface Journey {
  readonly history: History;
  /** How many commits the leader has made when the snapshot begins. */
  readonly head: number;
  /** Commits between two pages. */
  readonly pace: number;
  readonly pageBytes: number;
  readonly batchBytes: number;
  /** Schema changes, each before the commit of that number. */
  readonly changes: readonly { readonly at: number; readonly kind: number }[];
  /** What happens to messages, one by one. */
  readonly fates: readonly number[];
}

const journey: fc.Arbitrary<Journey> = fc.record({
  history: arbitraryHistory,
  head: fc.nat({ max: 10 }),
  pace: fc.nat({ max: 2 }),
  pageBytes: fc.constantFrom(1, 60, 400, 4000),
  batchBytes: fc.constantFrom(1, 100, 1000, 100_000),
  changes: fc.array(fc.record({ at: fc.nat({ max: 14 }), kind: fc.nat({ max: 5 }) }), { maxLength: 3 }),
  fates: fc.array(fc.nat({ max: 7 }), { minLength: 30, maxLength: 30 }),
});

/** Rounds of runs until all has been met (chosen: one in some hundred rounds misses a rare case). */
const ROUNDS_MAX = 10;

export function checkReplication(
  place: <T>(body: (place: Place) => T) => T,
  runs: number,
  seed?: number,
): Coverage {
  const coverage = { commits: 0, schemaChanges: 0, copies: 0, gone: 0, stale: 0, gaps: 0, pieces: 0 };
  // Journeys are random: what none of them has met yet, more of them will.
  for (let rounds = 0; rounds < ROUNDS_MAX; rounds++) {
    fc.assert(
      fc.property(journey, (each) => place((where) => travel(where, each, coverage))),
      { numRuns: runs, endOnFailure: true, ...(seed === undefined ? {} : { seed }) },
    );
    if (Object.values(coverage).every((count) => count > 0)) break;
  }
  return coverage;
}

function travel({ leader: port, follower: open }: Place, journey: Journey, coverage: Coverage): void {
  const { history, pace, pageBytes, batchBytes } = journey;
  const leader = new Leader(port);
  const made = leader.change([
    ...history.tables.map(({ sql }) => sql),
    ...history.views,
    ...history.triggers.map(({ sql }) => sql),
  ]);
  if (!made) return;
  let step = 0;
  const run = (count: number) => {
    for (const end = step + count; step < end; step++) {
      for (const { at, kind } of journey.changes)
        if (at === step && leader.change(schemaChange(history, kind, step))) coverage.schemaChanges++;
      const statements = history.commits[step];
      if (statements === undefined) continue;
      const before = leader.replica.last.commit;
      leader.commit(statements);
      if (leader.replica.last.commit > before) coverage.commits++;
    }
  };
  run(journey.head);
  let follower: Follower | 'gone';
  do {
    const file = open();
    // Every page meets a process that has just started.
    follower = copy(leader.replica, file, pageBytes, () => {
      run(pace);
      assert(Follower.open(file) === null, 'a file whose snapshot is not complete is no replica');
      const target = SnapshotTarget.resume(file);
      assert(target !== null, 'an unfinished snapshot goes on');
      return target;
    });
    if (follower === 'gone') coverage.gone++;
  } while (follower === 'gone');
  coverage.copies++;
  const base = follower.position().commitId;
  ship(leader, follower, journey, () => run(1), coverage);
  run(history.commits.length);
  catchUp(leader.replica, follower, batchBytes);
  deepStrictEqual(stateOf(follower.replica, base + 1), stateOf(leader.replica, base + 1));
}

/** Batches that are lost, late, twice there, or overtake one another. */
function ship(
  leader: Leader,
  follower: Follower,
  { fates, batchBytes }: Journey,
  run: () => void,
  coverage: Coverage,
): void {
  const waiting: AppendBatch[] = [];
  const places: Position[] = [follower.position()];
  let guess: Position = follower.position();
  for (const fate of fates) {
    if (fate <= 1) run();
    else if (fate <= 4) {
      const batch = readBatch(
        leader.replica,
        fate === 4 ? (places[places.length >> 1] ?? guess) : guess,
        batchBytes,
      );
      if (typeof batch === 'string') continue;
      const { head, data } = encodeBatch(batch);
      waiting.push(decodeBatch(sent(head), data));
      if (batch.piece !== null) coverage.pieces++;
    } else if (fate === 5) waiting.shift();
    else {
      const batch = fate === 6 ? waiting.shift() : waiting.at(-1);
      if (batch === undefined) continue;
      const { kind, position } = follower.append(batch);
      assert(kind !== 'diverged', 'a follower of one leader does not diverge');
      if (kind === 'stale') coverage.stale++;
      if (kind === 'gap') coverage.gaps++;
      guess = position;
      places.push(position);
    }
    // As a leader that does not wait for answers: what it has sent will have arrived.
    const last = waiting.at(-1);
    if (last !== undefined && fate === 3 && last.piece === null) {
      const commitId = (last.previous.commitId + last.entries.length) as Position['commitId'];
      guess = { ...guess, commitId, offset: 0 };
    }
  }
}

function schemaChange({ tables }: History, kind: number, step: number): string[] {
  const name = quoteName(tables[step % tables.length]?.name ?? '');
  switch (kind) {
    case 0:
      return [`ALTER TABLE ${name} ADD COLUMN added${step} DEFAULT 3`];
    case 1:
      return [`CREATE INDEX by${step} ON ${name}(k)`];
    case 2:
      return [
        `CREATE TABLE more${step}(a, b)`,
        `CREATE TRIGGER on${step} AFTER UPDATE ON ${name} BEGIN INSERT INTO more${step} VALUES (1, 2); END`,
      ];
    case 3:
      return [`DROP TABLE ${name}`];
    case 4:
      return [`ALTER TABLE ${name} RENAME COLUMN m TO m${step}`];
    default:
      return [`ALTER TABLE ${name} RENAME TO "renamed ${step}"`];
  }
}
