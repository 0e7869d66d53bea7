import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/** Folder of an agent's data directory in a fixture. */
export const AGENT = 'agent';
export const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));

export async function fixtureNames(): Promise<string[]> {
  const entries = await readdir(FIXTURES, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** A copy of a fixture's data directory in a temporary folder, which the caller removes. */
export async function unpack(name: string): Promise<string> {
  const storage = await mkdtemp(join(tmpdir(), `atoll-${name}-`));
  for (const file of await filesOf(name)) {
    const target = join(storage, file.slice(0, -'.gz'.length));
    await mkdir(join(target, '..'), { recursive: true });
    await writeFile(target, gunzipSync(await readFile(join(FIXTURES, name, file))));
  }
  return storage;
}

/** Paths of partitions' database files in an unpacked fixture. */
export async function partitionFiles(storage: string): Promise<string[]> {
  const entries = await readdir(join(storage, 'do'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /^[0-9a-f]{64}\.sqlite$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Paths of the replicas that an unpacked fixture's agent has; none in a fixture from before there were agents. */
export async function replicaFiles(storage: string): Promise<string[]> {
  const folder = join(storage, AGENT, 'main');
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => /^\d+\.sqlite$/.test(name)).map((name) => join(folder, name));
}

export async function answersOf(name: string): Promise<unknown> {
  return JSON.parse(await readFile(join(FIXTURES, name, 'answers.json'), 'utf8'));
}

async function filesOf(name: string): Promise<string[]> {
  const entries = await readdir(join(FIXTURES, name), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.gz'))
    .map((entry) => join(entry.parentPath, entry.name).slice(join(FIXTURES, name).length + 1));
}
