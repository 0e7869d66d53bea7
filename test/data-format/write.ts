import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gzipSync } from 'node:zlib';
import { ask, startAgentOn, startOn, stopAgent } from './cluster.ts';
import { AGENT, FIXTURES } from './fixture.ts';
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
const agentData = join(storage, AGENT);
const agent = await startAgentOn(cluster.url, agentData);
await writeStory(cluster.client);
const answers = await ask(cluster, QUESTIONS);
await caughtUp(answers);
await stopAgent(agent.running);
await cluster.stop();
await mkdir(target, { recursive: false });
for (const entry of await readdir(storage, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !(entry.name.endsWith('.sqlite') || entry.name === 'host.json')) continue;
  const file = join(entry.parentPath, entry.name);
  const kept = join(target, file.slice(storage.length + 1));
  if (!kept.startsWith(join(target, 'do')) && !kept.startsWith(join(target, AGENT))) continue;
  await mkdir(join(kept, '..'), { recursive: true });
  if (entry.name.endsWith('.sqlite')) flush(file);
  await writeFile(`${kept}.gz`, gzipSync(await readFile(file), { level: 9 }));
}
await writeFile(join(target, 'answers.json'), `${JSON.stringify(answers, null, 1)}\n`);
await rm(storage, { recursive: true, force: true });
console.log(`${target} written`);

/** Everything into the one file, which is what is kept. */
function flush(file: string): void {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}

/** Resolves when the agent answers as the leaders did. */
async function caughtUp(expected: readonly unknown[]): Promise<void> {
  const wanted = JSON.stringify(expected);
  for (;;) {
    const own = await ask(agent, QUESTIONS, { consistency: 'eventual' });
    if (JSON.stringify(own) === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
