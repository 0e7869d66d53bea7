import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gzipSync } from 'node:zlib';
import { ask, startOn } from './cluster.ts';
import { FIXTURES } from './fixture.ts';
import { QUESTIONS, writeStory } from './story.ts';

/**
 * `node test/data-format/write.ts NAME` writes a data directory of this version of Atoll to `test/fixtures/NAME`. Done once
 * when a big change lands; a fixture is never written again.
 */
const [name] = process.argv.slice(2);
if (name === undefined) throw new Error('usage: node test/data-format/write.ts NAME');
const target = join(FIXTURES, name);
const storage = await mkdtemp(join(tmpdir(), 'atoll-fixture-'));
const cluster = await startOn(storage);
await writeStory(cluster.client);
const answers = await ask(cluster, QUESTIONS);
await cluster.stop();
await mkdir(target, { recursive: false });
const objects = join(storage, 'do');
for (const entry of await readdir(objects, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.sqlite')) continue;
  const file = join(entry.parentPath, entry.name);
  const database = new DatabaseSync(file);
  // Everything into the one file, which is what is kept.
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
  const kept = join(target, 'do', file.slice(objects.length + 1));
  await mkdir(join(kept, '..'), { recursive: true });
  await writeFile(`${kept}.gz`, gzipSync(await readFile(file), { level: 9 }));
}
await writeFile(join(target, 'answers.json'), `${JSON.stringify(answers, null, 1)}\n`);
await rm(storage, { recursive: true, force: true });
console.log(`${target} written`);
