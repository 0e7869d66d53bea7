import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeBatch, readBatch } from '../../src/core/replication/shipping.ts';
import { openSnapshot } from '../../src/core/replication/snapshot-source.ts';
import { SnapshotTarget } from '../../src/core/replication/snapshot-target.ts';
import { DataDirectory } from '../../src/node-agent/data-directory.ts';
import { SourceDirectory } from '../../src/node-agent/recovery/source-directory.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import { Storage } from '../../src/node-agent/storage/storage.ts';
import { LocalCluster } from '../harness/local-cluster.ts';
import { Copying } from './copy.ts';

let directory: string;
let file: string;
let storage: Storage;
let cluster: LocalCluster;
let copying: Copying;
const log: unknown[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'atoll-storage-'));
  file = join(directory, 'main', '1.sqlite');
  storage = new Storage((...event) => log.push(event), { sealSecret: null }, 2);
  cluster = new LocalCluster();
  cluster.schema('CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)');
  for (let i = 0; i < 100; i++) cluster.run('INSERT INTO note (text) VALUES (?)', [`note ${i} `.repeat(20)]);
  copying = new Copying(storage, file, cluster.replica(1));
});
afterEach(async () => {
  await storage.close();
  rmSync(directory, { recursive: true, force: true });
});

const count = 'SELECT count(*), min(id), max(id) FROM note';

/** Another run of the process, as far as files can tell. */
async function reopen(): Promise<void> {
  await storage.close();
  storage = new Storage((...event) => log.push(event), { sealSecret: null }, 2);
  copying = new Copying(storage, file, cluster.replica(1));
}

describe('a partition on a storage thread', () => {
  test('is nothing before a snapshot, and answers nothing', async () => {
    expect(await storage.call(file, 'state')).toMatchObject({
      position: null,
      snapshot: null,
      history: null,
    });
    expect(await storage.call(file, 'execute', '{"read":true}', 0)).toBeNull();
  });

  test('is the leader’s after a snapshot and the tail, in a file that sqlite3 reads', async () => {
    await copying.snapshot();
    cluster.run("INSERT INTO note (text) VALUES ('late')");
    cluster.run("DELETE FROM note WHERE text = 'late'");
    cluster.run("INSERT INTO note (text) VALUES ('later')");
    expect(await copying.tail()).toBeGreaterThan(0);
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
    const database = new DatabaseSync(file, { readOnly: true });
    expect(database.prepare("SELECT count(*) AS n FROM note WHERE text = 'later'").get()).toEqual({ n: 1 });
    database.close();
  });

  describe('that ends', () => {
    /** A replica, and behind it a snapshot that has come whole and is not in its place yet. */
    async function arrived(): Promise<void> {
      await copying.snapshot();
      for (let i = 0; i < 20; i++) cluster.run("INSERT INTO note (text) VALUES ('newer')");
      let snapshot = await storage.call(file, 'beginSnapshot', openSnapshot(cluster.replica(1)));
      while (snapshot.cursor !== null) snapshot = await copying.page(snapshot);
      await storage.close();
      const port = new NodeSqlitePort(`${file}.incoming`);
      SnapshotTarget.resume(port)?.finish();
      port.close();
    }

    test('before a snapshot takes its place serves it, and loses nothing that it confirms', async () => {
      await arrived();
      await reopen();
      expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
      cluster.run("INSERT INTO note (text) VALUES ('newest')");
      await copying.tail();
      await storage.call(file, 'sync');
      const { position } = await storage.call(file, 'state');
      // As whoever kills the process finds it.
      cpSync(join(directory, 'main'), join(directory, 'killed'), { recursive: true });
      const killed = await storage.call(join(directory, 'killed', '1.sqlite'), 'state');
      expect(killed.position).toEqual(position);
    });

    test('while a snapshot takes its place is found by the next start, and by a recovery', async () => {
      await arrived();
      rmSync(file);
      const held = DataDirectory.open(directory);
      expect(held.partitions()).toEqual([{ database: 'main', partition: 1 }]);
      held.close();
      const source = SourceDirectory.open(directory);
      expect(source.files('main')).toEqual([{ partition: 1, path: `${file}.incoming` }]);
      source.close();
      await reopen();
      expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
    });

    test('is let go of with the snapshot that was arriving', async () => {
      const snapshot = await storage.call(file, 'beginSnapshot', openSnapshot(cluster.replica(1)));
      await copying.page(snapshot);
      expect(await storage.call(file, 'release')).toBeNull();
      await storage.close();
      expect(readdirSync(join(directory, 'main')).filter((name) => name.includes('incoming'))).toEqual([]);
    });
  });

  test('refuses writes', async () => {
    await copying.snapshot();
    const request = JSON.stringify({ read: false, statements: [{ sql: 'DELETE FROM note' }] });
    expect(await storage.call(file, 'execute', request, 0)).toBeNull();
  });

  test('goes on with a snapshot where it was when the process ended', async () => {
    let snapshot = await storage.call(file, 'beginSnapshot', openSnapshot(cluster.replica(1)));
    snapshot = await copying.page(snapshot);
    snapshot = await copying.page(snapshot);
    await reopen();
    const state = await storage.call(file, 'state');
    expect(state.snapshot).toEqual(snapshot);
    await copying.snapshot();
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
    expect(readdirSync(join(directory, 'main')).filter((name) => name.includes('incoming'))).toEqual([]);
  });

  test('goes on answering from the former state while a snapshot arrives', async () => {
    await copying.snapshot();
    await storage.call(file, 'beginSnapshot', openSnapshot(cluster.replica(1)));
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
    cluster.run("INSERT INTO note (text) VALUES ('new')");
    await storage.call(file, 'beginSnapshot', openSnapshot(cluster.replica(1)));
    await copying.snapshot();
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
  });

  test('takes no damaged batch, and the same one sent again', async () => {
    await copying.snapshot();
    cluster.run("INSERT INTO note (text) VALUES ('x')");
    const { position } = await storage.call(file, 'state');
    const batch = readBatch(cluster.replica(1), position as never);
    if (typeof batch === 'string') throw new Error(batch);
    const { head, data } = encodeBatch(batch);
    await expect(storage.call(file, 'append', head, data.slice(0, -3))).rejects.toMatchObject({
      kind: 'message',
    });
    expect(await storage.call(file, 'append', head, data)).toMatchObject({ kind: 'appended' });
  });

  test('whose log cannot be made durable is moved aside', async () => {
    await copying.snapshot();
    cluster.run("INSERT INTO note (text) VALUES ('x')");
    await copying.tail();
    await storage.call(file, 'sync');
    renameSync(`${file}-wal`, `${file}-kept`);
    // Nothing is lost by what was not even tried.
    mkdirSync(`${file}-wal`);
    await expect(storage.call(file, 'sync')).rejects.toMatchObject({ kind: 'io' });
    rmdirSync(`${file}-wal`);
    renameSync(`${file}-kept`, `${file}-wal`);
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
    await storage.call(file, 'sync');
    // What can be opened, and never be flushed.
    renameSync(`${file}-wal`, `${file}-kept`);
    execFileSync('mkfifo', [`${file}-wal`]);
    await expect(storage.call(file, 'sync')).rejects.toMatchObject({
      kind: 'corrupt',
      message: expect.stringContaining('cannot be made durable'),
    });
    expect((await storage.call(file, 'state')).position).toBeNull();
    await copying.snapshot();
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
  });

  test('that is damaged is moved aside, and made anew', async () => {
    await copying.snapshot();
    await storage.close();
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, Buffer.alloc(4096, 0x5a), 0, 4096, 8192);
    await reopen();
    await expect(storage.call(file, 'state')).rejects.toMatchObject({ kind: 'corrupt' });
    expect(readdirSync(join(directory, 'main')).some((name) => name.startsWith('1.sqlite.corrupt-'))).toBe(
      true,
    );
    expect(await storage.call(file, 'state')).toMatchObject({ position: null });
    await copying.snapshot();
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
  });

  test('whose file is no database at all is moved aside too', async () => {
    await copying.snapshot();
    await storage.close();
    writeFileSync(file, 'this is not a database '.repeat(1000));
    await reopen();
    await expect(storage.call(file, 'state')).rejects.toMatchObject({ kind: 'corrupt' });
    await copying.snapshot();
  });

  test('does not suffer from another one that is damaged', async () => {
    await copying.snapshot();
    const second = join(directory, 'main', '2.sqlite');
    const third = join(directory, 'main', '3.sqlite');
    for (const path of [second, third]) writeFileSync(path, 'no database '.repeat(500));
    await expect(storage.call(second, 'state')).rejects.toMatchObject({ kind: 'corrupt' });
    await expect(storage.call(third, 'state')).rejects.toMatchObject({ kind: 'corrupt' });
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
  });

  test('that the cluster wants elsewhere is let go of, its file kept, and loaded anew when it is wanted again', async () => {
    await copying.snapshot();
    const aside = await storage.call(file, 'release');
    expect(aside).toMatch(/1\.sqlite\.released-\d{8}T\d+Z$/);
    expect(await storage.call(file, 'state')).toMatchObject({ position: null });
    const database = new DatabaseSync(String(aside), { readOnly: true });
    expect(database.prepare('SELECT count(*) AS n FROM note').get()).toEqual({ n: 100 });
    database.close();
    await copying.snapshot();
    expect(await copying.rows(count)).toEqual(cluster.run(count).rows);
  });
});
