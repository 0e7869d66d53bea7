import { closeSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { openSnapshot } from '../../src/core/replication/snapshot-source.ts';
import { StorageError } from '../../src/node-agent/storage/calls.ts';
import { Storage } from '../../src/node-agent/storage/storage.ts';
import { LocalCluster } from '../harness/local-cluster.ts';
import { Copying } from './copy.ts';

/**
 * `node full-disk-snapshot.ts DIRECTORY SPARE`: in an empty file system, a replica and behind it a snapshot that has come whole; then the disk is filled but
 * for SPARE bytes, the snapshot is to take the replica's place, and is again when there is space. Prints what there is each time, in a line of JSON.
 */
const [directory = '', spare = '0'] = process.argv.slice(2);
const ROWS = 1_500;
const BLOCK = Buffer.alloc(64 << 10, 1);
const file = join(directory, 'main', '1.sqlite');
const storage = new Storage(() => undefined, { sealSecret: null }, 1);
const cluster = new LocalCluster();
cluster.schema('CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)');
cluster.schema('CREATE INDEX note_text ON note (text)');
const fill = (count: number) => {
  for (let i = 0; i < count; i++)
    cluster.run('INSERT INTO note (text) VALUES (?)', [`${i} `.padEnd(2_000, 'x')]);
};
fill(100);
const copying = new Copying(storage, file, cluster.replica(1));
await copying.snapshot();
fill(ROWS);
let snapshot = await storage.call(file, 'beginSnapshot', openSnapshot(cluster.replica(1)));
while (snapshot.cursor !== null) snapshot = await copying.page(snapshot, BLOCK.byteLength);

const { bavail, bsize } = statfsSync(directory);
const ballast = openSync(join(directory, 'ballast'), 'w');
for (let left = bavail * bsize - Number(spare); left > 0; left -= BLOCK.byteLength)
  writeSync(ballast, BLOCK, 0, Math.min(left, BLOCK.byteLength));
const said: unknown[] = [];
/** How it ended, and how many rows there are then. */
const finish = async (): Promise<void> => {
  const how = await storage.call(file, 'finishSnapshot').then(
    () => 'finished',
    (error: unknown) => (error instanceof StorageError ? error.kind : String(error)),
  );
  said.push([how, await copying.rows('SELECT count(*) FROM note WHERE text > 0')]);
};
await finish();
await finish();
ftruncateSync(ballast, 0);
closeSync(ballast);
await finish();
console.log(JSON.stringify(said));
await storage.close();
