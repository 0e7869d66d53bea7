import { createHash } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DataDirectory } from '../../src/node-agent/data-directory.ts';
import { type Ended, type Running, run, start, temporaryDirectory } from '../cli/process.ts';
import { call, SECRET, TestEdge, TOKEN } from './edge.ts';
import { startAgent, until } from './process.ts';

const PARTITIONS = 2;
const ENVIRONMENT = { ATOLL_SECRET: SECRET, ATOLL_TOKEN: TOKEN };
const POSTS = 'SELECT id, tenant, body FROM post ORDER BY id';
const COUNTRIES = 'SELECT code, name FROM country ORDER BY code';

let directory: ReturnType<typeof temporaryDirectory>;
/** Acknowledged rows that both agents have, that a2 alone has besides, and all of them, the lost ones too. */
let both: unknown[][];
let second: unknown[][];
let everything: unknown[][];
let session: string | undefined;
/** A session of before that has seen nothing but what both agents have. */
let covered: string | undefined;
let written = 0;
const running: Running[] = [];

const path = (name: string): string => join(directory.path, name);
const file = (name: string, partition: number): string => join(path(name), 'main', `${partition}.sqlite`);

/** The drill's first half: a cluster that lives, with two agents that stop following it at different times; then it is gone. */
beforeAll(async () => {
  directory = temporaryDirectory();
  const edge = await TestEdge.start(PARTITIONS);
  await edge.rows('CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT) REFERENCE');
  await edge.rows('CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)');
  await edge.rows(`INSERT INTO country VALUES ('DE', 'Germany'), ('JP', 'Japan')`);
  await write(edge, 40);
  const first = startAgent(edge, path('a1'));
  const other = startAgent(edge, path('a2'));
  await Promise.all([first.ready(), other.ready()]);
  await Promise.all([follows(edge, 'a1'), follows(edge, 'a2')]);
  both = await edge.rows(POSTS);
  covered = session;
  await kill(first.running);
  await edge.rows(`INSERT INTO country VALUES ('FR', 'France')`);
  await edge.rows('ALTER TABLE post ADD COLUMN note TEXT');
  await edge.rows(`UPDATE country SET name = 'Nippon' WHERE code = 'JP'`);
  await write(edge, 30);
  await follows(edge, 'a2');
  second = await edge.rows(POSTS);
  await kill(other.running);
  await write(edge, 200);
  everything = await edge.rows(POSTS);
  await edge.close();
}, 120_000);
afterAll(() => directory.remove());
afterEach(async () => {
  for (const each of running.splice(0)) await kill(each);
});

async function write(edge: TestEdge, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const statement = {
      sql: 'INSERT INTO post (tenant, body) VALUES (?, ?)',
      args: [`tenant ${written % 7}`, `body ${written++}`],
    };
    const answer = await edge.post('/v1/query', { ...statement, ...(session !== undefined && { session }) });
    session = answer.session;
  }
}

/** Resolves when every file there has all that was acknowledged. */
function follows(edge: TestEdge, name: string): Promise<true> {
  return until(`${name} has what the leaders have`, async (): Promise<true> => {
    const posts = [1, 2].flatMap((partition) => rowsOf(file(name, partition), POSTS));
    expect(posts.sort(byId)).toEqual(await edge.rows(POSTS));
    for (const partition of [0, 1, 2])
      expect(rowsOf(file(name, partition), COUNTRIES)).toEqual(await edge.rows(COUNTRIES));
    return true;
  });
}

const byId = ([a]: unknown[], [b]: unknown[]): number => Number(a) - Number(b);

function rowsOf(path: string, sql: string): unknown[][] {
  const database = new DatabaseSync(path, { readOnly: true, returnArrays: true });
  try {
    return database.prepare(sql).all() as unknown as unknown[][];
  } finally {
    database.close();
  }
}

async function kill(process: Running): Promise<void> {
  process.child.kill('SIGKILL');
  await process.ended;
}

const rowsAt = async (url: string, sql: string, args?: unknown): Promise<unknown[][]> =>
  (await call(url, '/v1/query', { sql, args })).rows;

function recover(to: string, from: readonly string[], more: readonly string[] = []): Promise<Ended> {
  const data = from.flatMap((name) => ['--data', path(name)]);
  return run(['agent', 'recover', ...data, '--to', path(to), ...more]);
}

/** A recovery that is killed when it begins that step. */
function dieAt(step: string, to: string, from: readonly string[]): Promise<Ended> {
  const module = new URL('../../src/node-agent/recovery/recover.ts', import.meta.url).href;
  const options = JSON.stringify({ data: from.map(path), to: path(to), acceptLoss: false, database: 'main' });
  const script = `import { recover } from ${JSON.stringify(module)};
    const onStep = (step) => step.startsWith('${step}') && process.kill(process.pid, 'SIGKILL');
    await recover({ ...${options}, now: Date.now, onStep });`;
  return run([], { program: [process.execPath, '--input-type=module', '--eval', script] });
}

async function lead(name: string, port = '0'): Promise<string> {
  const started = start(['agent', '--data', path(name), '--port', port], { env: ENVIRONMENT });
  running.push(started);
  return (await started.seen(/^ready (\S+)$/m))[1] as string;
}

/** Every file of a directory by what is in it. */
function contents(name: string): Record<string, string> {
  const hashes: Record<string, string> = {};
  for (const entry of readdirSync(path(name), { recursive: true, withFileTypes: true })) {
    const at = join(entry.parentPath, entry.name);
    hashes[at] = entry.isFile() ? createHash('sha256').update(readFileSync(at)).digest('hex') : 'directory';
  }
  return hashes;
}

describe('the recovery drill', () => {
  test('all that was replicated is there, and the cluster goes on', { timeout: 120_000 }, async () => {
    const before = [contents('a1'), contents('a2')];
    for (const step of ['reading', 'bringing', 'writing']) {
      expect((await dieAt(step, 'drill', ['a1', 'a2'])).signal).toBe('SIGKILL');
      expect(existsSync(path('drill'))).toBe(false);
    }
    const { code, stdout } = await recover('drill', ['a1', 'a2']);
    expect(code).toBe(0);
    expect([contents('a1'), contents('a2')]).toEqual(before);
    for (const partition of [0, 1, 2]) {
      const [[commit]] = rowsOf(file('a2', partition), 'SELECT last_commit_id FROM _atoll_head') as [
        [number],
      ];
      expect(stdout).toContain(`partition ${partition}  up to commit ${commit}, 20`);
      expect(stdout).toContain(`from ${file('a2', partition)}\n`);
    }

    const url = await lead('drill');
    expect(await rowsAt(url, POSTS)).toEqual(second);
    expect(await rowsAt(url, COUNTRIES)).toEqual([
      ['DE', 'Germany'],
      ['FR', 'France'],
      ['JP', 'Nippon'],
    ]);

    // Nothing of before is mistaken for the present.
    for (const former of [session, covered]) {
      const read = { sql: POSTS, session: former };
      await expect(call(url, '/v1/query', read)).rejects.toThrow('history-gone');
      await expect(call(url, '/v1/query', { ...read, consistency: 'session' })).rejects.toThrow(
        'history-gone',
      );
    }
    const begun = await call(url, '/v1/query', { sql: `INSERT INTO post (tenant, body) VALUES ('s', 's')` });
    const seen = { sql: `SELECT count(*) FROM post WHERE tenant = 's'`, session: begun.session };
    expect((await call(url, '/v1/query', { ...seen, consistency: 'session' })).rows).toEqual([[1]]);
    const issued = new Set(everything.map(([id]) => id));
    for (let i = 0; i < 20; i++) {
      const sql = 'INSERT INTO post (tenant, body, note) VALUES (?, ?, ?) RETURNING id';
      const [[id]] = (await rowsAt(url, sql, [`tenant ${i}`, 'after', 'x'])) as [[number]];
      expect(issued.has(id)).toBe(false);
      issued.add(id);
    }

    // All kinds of writes.
    await rowsAt(url, 'CREATE TABLE mark (id INTEGER PRIMARY KEY, at TEXT)');
    await rowsAt(url, `INSERT INTO mark (at) VALUES ('now')`);
    await rowsAt(url, `INSERT INTO country VALUES ('IT', 'Italy')`);
    const imported = await fetch(`${url}/v1/import/post`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-ndjson' },
      body: '{"tenant":"t","body":"imported"}\n{"tenant":"u","body":"imported"}\n',
    });
    expect(imported.status).toBe(200);
    const { token } = await call(url, '/v1/tokens', { role: 'read' });
    const exported = await fetch(`${url}/v1/export`, { headers: { authorization: `Bearer ${token}` } });
    const dump = await exported.text();
    expect(dump).toContain("'Italy'");
    expect(dump.trimEnd().endsWith('COMMIT;')).toBe(true);
    const view = await call(url, '/v1/hosts');
    expect(view.hosts).toMatchObject([{ kind: 'agent', status: 'write' }]);

    // Others join it as they joined the edge.
    const joined = startAgent({ url } as TestEdge, path('a3'));
    running.push(joined.running);
    const third = await joined.ready();
    const expected = await rowsAt(url, POSTS);
    expect(expected).toHaveLength(second.length + 23);
    expect(await rowsAt(third, POSTS)).toEqual(expected);
    const [[id]] = (await rowsAt(
      third,
      `INSERT INTO post (tenant, body) VALUES ('x', 'y') RETURNING id`,
    )) as [[number]];
    await until('the new agent has it in its files', () =>
      [1, 2].some((partition) => rowsOf(file('a3', partition), POSTS).some(([each]) => each === id))
        ? true
        : null,
    );

    const fourth = startAgent({ url } as TestEdge, path('a4'));
    running.push(fourth.running);
    await fourth.ready();
    const [leading] = view.hosts;
    const { hosts } = await until('distances are known', async () => {
      const now = await call(url, '/v1/hosts');
      const others = now.hosts.slice(1) as { distanceMs: number | null }[];
      return others.length === 2 && others.every(({ distanceMs }) => distanceMs !== null) ? now : null;
    });
    for (const { votes } of hosts.slice(1)) expect(votes[leading.host]).toBe(true);

    // Agents of the former cluster are not let in with their data.
    const former = await startAgent({ url } as TestEdge, path('a1')).running.ended;
    expect(former.code).toBe(1);
    expect(former.stderr).toMatch(/belongs to another cluster/);

    // It survives its own death, and those who follow it go on.
    const [leader] = running;
    await kill(leader as Running);
    await lead('drill', new URL(url).port);
    expect(await rowsAt(url, POSTS)).toHaveLength(expected.length + 1);
    await rowsAt(url, `INSERT INTO country VALUES ('ES', 'Spain')`);
    await until('the agents follow again', () =>
      ['a3', 'a4'].every((name) => rowsOf(file(name, 0), COUNTRIES).length === 5) ? true : null,
    );

    // What has come out is a way out again.
    for (const each of running.splice(0)) await kill(each);
    expect((await recover('again', ['a3', 'drill', 'a4'])).code).toBe(0);
    const last = await lead('again');
    expect(await rowsAt(last, POSTS)).toHaveLength(expected.length + 1);
    expect(await rowsAt(last, COUNTRIES)).toHaveLength(5);
    await rowsAt(last, 'CREATE TABLE later (id INTEGER PRIMARY KEY)');
    await rowsAt(last, `INSERT INTO country VALUES ('PT', 'Portugal')`);

    // And its dump can be restored there.
    const admin = { authorization: `Bearer ${TOKEN}` };
    const text = await (await fetch(`${last}/v1/export`, { headers: admin })).text();
    for (const table of ['later', 'mark', 'post', 'country']) await rowsAt(last, `DROP TABLE ${table}`);
    const restored = await fetch(`${last}/v1/restore`, { method: 'POST', headers: admin, body: text });
    expect(await restored.text()).not.toContain('error');
    expect(await rowsAt(last, POSTS)).toHaveLength(expected.length + 1);
    expect(await rowsAt(last, COUNTRIES)).toHaveLength(6);
  });

  test('a partition whose only copy is old takes what it lacks of the schema and of reference tables', async () => {
    cpSync(path('a2'), path('b2'), { recursive: true });
    rmSync(file('b2', 1));
    rmSync(`${file('b2', 1)}-wal`, { force: true });
    const { code, stdout } = await recover('mixed', ['a1', 'b2']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/partition 1 {2}up to commit .*a1.*, and 3 entries of the system partition's log/);
    const url = await lead('mixed');
    const rows = await rowsAt(url, POSTS);
    const old = new Set(rowsOf(file('a1', 1), POSTS).map(([id]) => id));
    const own = new Set(rowsOf(file('a2', 2), POSTS).map(([id]) => id));
    expect(rows).toEqual(second.filter(([id]) => old.has(id) || own.has(id)));
    expect(rows.length).toBeGreaterThan(both.length - 1);
    for (const tenant of Array.from({ length: 8 }, (_, i) => `tenant ${i}`)) {
      await rowsAt(url, 'INSERT INTO post (tenant, note) VALUES (?, ?)', [tenant, 'n']);
      const joined = 'SELECT count(*) FROM post, country WHERE tenant = ? AND note = ?';
      expect(await rowsAt(url, joined, [tenant, 'n'])).toEqual([[3]]);
    }
  });

  test('a system partition that is older than the others is rebuilt from their logs', async () => {
    cpSync(path('a2'), path('c2'), { recursive: true });
    rmSync(file('c2', 0));
    rmSync(`${file('c2', 0)}-wal`, { force: true });
    const { code, stdout } = await recover('ahead', ['a1', 'c2']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/partition 0 {2}up to commit .*a1.*, and 3 entries of the system partition's log/);
    const url = await lead('ahead');
    expect(await rowsAt(url, POSTS)).toEqual(second);
    expect(await rowsAt(url, COUNTRIES)).toHaveLength(3);
    await rowsAt(url, `INSERT INTO country VALUES ('IT', 'Italy')`);
    await rowsAt(url, 'ALTER TABLE post ADD COLUMN more TEXT');
    expect(await rowsAt(url, 'SELECT count(*), count(more) FROM post')).toEqual([[second.length, 0]]);
  });

  test('a partition without a copy is given up only when told to', async () => {
    cpSync(path('a2'), path('d2'), { recursive: true });
    rmSync(file('d2', 2));
    rmSync(`${file('d2', 2)}-wal`, { force: true });
    const refused = await recover('lossy', ['d2']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /no whole copy is left of partition 2 \(tokens 2147483648 to 4294967295\)/,
    );
    expect(existsSync(path('lossy'))).toBe(false);
    const { code, stdout } = await recover('lossy', ['d2'], ['--accept-loss']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/lost {3}partition 2: all rows with tokens 2147483648 to 4294967295/);
    const url = await lead('lossy');
    expect(await rowsAt(url, POSTS)).toEqual(rowsOf(file('a2', 1), POSTS));
    const issued = new Set(everything.map(([id]) => id));
    for (let i = 0; i < 14; i++) {
      const sql = 'INSERT INTO post (tenant, note) VALUES (?, ?) RETURNING id';
      const [[id]] = (await rowsAt(url, sql, [`tenant ${i}`, 'n'])) as [[number]];
      expect(issued.has(id)).toBe(false);
    }
    await rowsAt(url, `INSERT INTO country VALUES ('IT', 'Italy')`);
    await rowsAt(url, 'CREATE INDEX by_note ON post (note)');
    expect(await rowsAt(url, 'SELECT count(*) FROM post p, country c WHERE p.note = ?', ['n'])).toEqual([
      [14 * 4],
    ]);
  });
});

describe('what is refused', () => {
  test('an agent that runs, a directory that is not empty, one that is not there, copies of two histories', async () => {
    const held = DataDirectory.open(path('a1'));
    const { stderr } = await recover('no', ['a1']);
    held.close();
    expect(stderr).toMatch(/an agent is running on .*a1/);
    expect((await recover('a2', ['a1'])).stderr).toMatch(/a2 is not empty/);
    expect((await recover('no', ['a9'])).stderr).toMatch(/there is no directory .*a9/);
    expect((await recover('other', ['a1'])).code).toBe(0);
    expect((await recover('no', ['a2', 'other'])).stderr).toMatch(/of different histories.*: .*a2.*other/);
    expect(existsSync(path('no'))).toBe(false);
    expect(existsSync(path('no.recovering'))).toBe(false);
  });

  test('a damaged file: the next copy is taken', async () => {
    cpSync(path('a2'), path('e2'), { recursive: true });
    const bytes = readFileSync(file('e2', 1));
    bytes.fill(0x5a, 4096);
    writeFileSync(file('e2', 1), bytes);
    rmSync(`${file('e2', 1)}-wal`, { force: true });
    const { code, stdout } = await recover('repaired', ['e2', 'a1']);
    expect(code).toBe(0);
    expect(stdout).toContain(`unused ${file('e2', 1)}: it is damaged`);
    expect(stdout).toMatch(/partition 1 {2}up to commit .*a1/);
  });

  test('to lead from a directory that follows', async () => {
    const { code, stderr } = await run(['agent', '--data', path('a2'), '--port', '0'], { env: ENVIRONMENT });
    expect(code).toBe(1);
    expect(stderr).toMatch(/does not lead a cluster/);
  });
});
