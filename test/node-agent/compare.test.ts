import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CommitId, PartitionId } from '../../src/base/brand.ts';
import type { Replica } from '../../src/core/replica/replica.ts';
import { ComparisonSource } from '../../src/core/replication/comparison-source.ts';
import { compareWithLeader } from '../../src/node-agent/replication/compare.ts';
import { Storage } from '../../src/node-agent/storage/storage.ts';
import type { Compare } from '../../src/protocol/replication.ts';
import type { Link } from '../../src/rpc/link.ts';
import { LocalCluster } from '../harness/local-cluster.ts';
import { Copying } from './copy.ts';

const PARTITION = 1 as PartitionId;

let directory: string;
let file: string;
let storage: Storage;
let cluster: LocalCluster;
let copying: Copying;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'atoll-compare-'));
  file = join(directory, 'main', '1.sqlite');
  storage = new Storage(() => undefined, { sealSecret: null }, 1);
  cluster = new LocalCluster();
  cluster.schema('CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)');
  for (let i = 0; i < 300; i++) cluster.run('INSERT INTO note (text) VALUES (?)', [`note ${i} `.repeat(200)]);
  copying = new Copying(storage, file, cluster.replica(1));
  await copying.snapshot();
});
afterEach(async () => {
  await storage.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A leader as `compare` asks one, which writes between any two questions. */
function leaderOf(replica: Replica): Link {
  const source = new ComparisonSource(() => replica);
  const reply = ({ at, question }: Compare) => {
    cluster.run("UPDATE note SET text = text || '.' WHERE id % 50 = 0");
    return source.ask('follower', at as CommitId, question, Date.now());
  };
  const call = async (_type: string, head: unknown) => ({
    head: reply(head as Compare),
    data: new Uint8Array(0),
  });
  return { call } as unknown as Link;
}

const compared = () => compareWithLeader(storage, file, PARTITION, leaderOf(cluster.replica(1)));

test('a replica is equal to its leader’s, which goes on writing', async () => {
  expect(await compared()).toMatchObject({ result: 'equal' });
  await copying.tail();
  expect(await compared()).toMatchObject({ result: 'equal' });
});

test('a row that differs is found, and its neighbours are not', async () => {
  await storage.call(file, 'close');
  const database = new DatabaseSync(file);
  // Past the triggers that log changes: as a disk that has changed a byte.
  for (const name of database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'note'")
    .all()
    .map((row) => String(row.name)))
    database.exec(`DROP TRIGGER "${name}"`);
  database.exec("UPDATE note SET text = 'rotten' WHERE id = (SELECT id FROM note LIMIT 1 OFFSET 77)");
  database.close();
  expect(await compared()).toMatchObject({ result: 'different', tables: ['note'], ranges: 1 });
});

test('a table that only the leader has is a difference', async () => {
  await storage.call(file, 'close');
  const database = new DatabaseSync(file);
  database.exec('DROP TABLE note');
  database.exec("DELETE FROM _atoll_layouts WHERE definition LIKE '%note%'");
  database.close();
  expect(await compared()).toMatchObject({ result: 'different', ranges: 0 });
});

test('a file that its process did not close is known by that', async () => {
  const cut = `${file}.cut`;
  for (const end of ['', '-wal']) copyFileSync(file + end, cut + end);
  expect(await storage.call(cut, 'state')).toMatchObject({ wasCut: true });
  await storage.call(cut, 'close');
  expect(await storage.call(cut, 'state')).toMatchObject({ wasCut: false });
});

test('what cannot be compared any more is not said to differ', async () => {
  const leader = leaderOf(cluster.replica(1));
  const slow = {
    ...leader,
    call: async (...args: Parameters<Link['call']>) => {
      cluster.schema('CREATE TABLE IF NOT EXISTS other (id INTEGER PRIMARY KEY)');
      return leader.call(...args);
    },
  } as unknown as Link;
  expect(await compareWithLeader(storage, file, PARTITION, slow)).toEqual({ result: 'gone' });
});
