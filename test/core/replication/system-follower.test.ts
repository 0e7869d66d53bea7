import { expect, test } from 'vitest';
import type { Epoch, PartitionId, SchemaVersion } from '../../../src/base/brand.ts';
import { applyFeed, checkSchemaChange, readFeed } from '../../../src/core/replica/feed.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { System } from '../../../src/core/replica/system.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { catchUp, copy } from './copy.ts';
import { stateOf } from './leader.ts';

const NOW = 1_700_000_000_000;

function found(): System {
  return System.found(
    new NodeSqlitePort(':memory:'),
    { database: 'main', history: 'a history', partitions: 2, settings: { key: 'k' } },
    NOW,
  );
}

function followed(leader: Replica) {
  const follower = copy(leader, new NodeSqlitePort(':memory:'), 500);
  if (follower === 'gone') throw new Error('gone');
  return follower;
}

function publish(system: System, sources: string[]): void {
  const proposal = system.propose(sources, NOW);
  if (proposal === null) throw new Error('a proposal');
  expect(system.decide(proposal, null, NOW)).toBeNull();
}

function write(replica: Replica, sql: string): void {
  const [outcome] = replica.execute(
    [
      {
        statements: [{ sql, args: [] }],
        epoch: replica.identity.epoch,
        schema: replica.schema.version,
        system: 0,
        read: false,
        shape: 'query',
      } as never,
    ],
    NOW,
  );
  expect(outcome?.kind).toBe('done');
}

test('a copy of the system partition knows the network, decisions and restores as its leader does', () => {
  const system = found();
  const follower = followed(system.replica);
  publish(system, [
    'CREATE TABLE countries (code TEXT PRIMARY KEY, name TEXT) REFERENCE',
    'CREATE TABLE cities (id INTEGER PRIMARY KEY, country TEXT REFERENCES countries ON DELETE CASCADE) REFERENCE',
  ]);
  write(system.replica, `INSERT INTO countries VALUES ('DE', 'Germany'), ('JP', '日本')`);
  write(system.replica, `INSERT INTO cities VALUES (1, 'DE'), (2, 'JP')`);
  for (const partition of [1, 2]) system.confirmCreated(partition as PartitionId, NOW);
  catchUp(system.replica, follower, 100);
  const undecided = system.propose(['CREATE TABLE more (a) REFERENCE'], NOW);
  catchUp(system.replica, follower);
  expect(follower.replica.hold).toBe(undecided?.proposal);
  expect(System.open(follower.replica).network()).toEqual(system.network());
  system.withdraw(undecided?.proposal ?? 0, 'somebody refused', NOW);
  // What no partition may refuse, and what goes along.
  const { catalogue } = system.replica.schema;
  system.impose(
    {
      version: (catalogue.version + 1) as SchemaVersion,
      statements: ['DROP TABLE cities'],
      mustBeEmpty: [],
      catalogue: {
        ...catalogue,
        version: (catalogue.version + 1) as SchemaVersion,
        tables: catalogue.tables.filter(({ name }) => name !== 'cities'),
      },
    },
    () => system.set('restore', 'over'),
    NOW,
  );
  catchUp(system.replica, follower);
  expect(follower.replica.schema.table('cities')).toBeUndefined();
  expect(follower.replica.port.query('SELECT count(*) FROM countries').rows).toEqual([[2]]);
  expect(System.open(follower.replica).setting('restore')).toBe('over');
  expect(stateOf(follower.replica, 2)).toEqual(stateOf(system.replica, 2));
});

test('a copy of a user partition holds, and passes the feed, with its leader', () => {
  const system = found();
  const leader = Replica.create(new NodeSqlitePort(':memory:'), {
    database: 'main',
    partition: 1 as PartitionId,
    history: 'a history',
    node: 'p1',
    epoch: 1 as Epoch,
    ranges: [{ start: 0, end: 2 ** 32 }],
    identifiers: { start: 1, end: 2 ** 40 },
  });
  const follower = followed(leader);
  const proposal = system.propose(
    [
      'CREATE TABLE countries (code TEXT PRIMARY KEY) REFERENCE',
      'CREATE TABLE notes (id INTEGER PRIMARY KEY, v)',
    ],
    NOW,
  );
  if (proposal === null) throw new Error('a proposal');
  expect(checkSchemaChange(leader, proposal.proposal, proposal.change, NOW).kind).toBe('passed');
  catchUp(leader, follower);
  expect(follower.replica.hold).toBe(proposal.proposal);
  system.publish(proposal, NOW);
  write(system.replica, `INSERT INTO countries VALUES ('DE')`);
  expect(applyFeed(leader, readFeed(system.replica, 0), NOW)).toBe(true);
  for (let i = 0; i < 200; i++) write(leader, `INSERT INTO notes (v) VALUES (${i})`);
  catchUp(leader, follower, 2000);
  expect(follower.replica.hold).toBeNull();
  expect(follower.replica.systemIndex).toBe(system.replica.feedIndex);
  expect(follower.replica.schema.table('notes')?.placement.kind).toBe('partitioned');
  expect(stateOf(follower.replica, 1)).toEqual(stateOf(leader, 1));
});
