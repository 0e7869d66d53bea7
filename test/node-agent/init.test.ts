import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DataDirectory } from '../../src/node-agent/data-directory.ts';
import { type Ended, type Running, type RunOptions, run, start, temporaryDirectory } from '../cli/process.ts';
import { call, SECRET, TestEdge, TOKEN } from './edge.ts';
import { startAgent, until } from './process.ts';

const ENVIRONMENT = { ATOLL_SECRET: SECRET, ATOLL_TOKEN: TOKEN };
const PARTITIONS = [0, 1, 2, 3];
const POSTS = 'SELECT id, tenant, body FROM post ORDER BY id';
const COUNTRIES = 'SELECT code, name FROM country ORDER BY code';

let directory: ReturnType<typeof temporaryDirectory>;
const running: Running[] = [];
const path = (name: string): string => join(directory.path, name);

beforeAll(() => {
  directory = temporaryDirectory();
});
afterAll(() => directory.remove());
afterEach(async () => {
  for (const each of running.splice(0)) await kill(each);
});

async function kill(process: Running): Promise<void> {
  process.child.kill('SIGKILL');
  await process.ended;
}

function agent(
  name: string,
  more: readonly string[] = [],
  env: Record<string, string> = ENVIRONMENT,
): Running {
  const started = start(['agent', '--data', path(name), '--port', '0', ...more], { env });
  running.push(started);
  return started;
}

const urlOf = async (started: Running): Promise<string> =>
  (await started.seen(/^ready (\S+)$/m))[1] as string;

function refused(
  name: string,
  more: readonly string[],
  options: RunOptions = { env: ENVIRONMENT },
): Promise<Ended> {
  return run(['agent', '--data', path(name), '--port', '0', ...more], options);
}

/** As another program reads a file, also of an agent that runs. */
function rowsIn(name: string, partition: number, sql: string): unknown[][] {
  const file = join(path(name), 'main', `${partition}.sqlite`);
  const database = new DatabaseSync(file, { readOnly: true, returnArrays: true });
  try {
    return database.prepare(sql).all() as unknown as unknown[][];
  } finally {
    database.close();
  }
}

/** What a client sees of an agent, with one token. */
class Client {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  async rows(sql: string, args: readonly unknown[] = []): Promise<unknown[][]> {
    const reply = await fetch(`${this.#url}/v1/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}` },
      body: JSON.stringify({ sql, args }),
    });
    const answer = (await reply.json()) as { rows: unknown[][] };
    if (!reply.ok) throw new Error(`${reply.status} ${JSON.stringify(answer)}`);
    return answer.rows;
  }

  async fill(): Promise<void> {
    await this.rows('CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT) REFERENCE');
    await this.rows(
      'CREATE TABLE post (id INTEGER PRIMARY KEY, tenant TEXT, body TEXT) PARTITION BY (tenant)',
    );
    await this.rows(`INSERT INTO country VALUES ('DE', 'Germany'), ('JP', 'Japan')`);
    await this.write(20);
  }

  /** Of enough tenants that every partition has some. */
  async write(count: number): Promise<void> {
    for (let i = 0; i < count; i++)
      await this.rows('INSERT INTO post (tenant, body) VALUES (?, ?)', [`tenant ${i}`, `body ${i}`]);
  }
}

const SCRIPT = `
  const [DataDirectory, leadershipOf, foundHere, LedPartitions] = await Promise.all([
    import(SOURCE + 'data-directory.ts').then((module) => module.DataDirectory),
    import(SOURCE + 'leading/leadership.ts').then((module) => module.leadershipOf),
    import(SOURCE + 'leading/found.ts').then((module) => module.foundHere),
    import(SOURCE + 'leading/led-partitions.ts').then((module) => module.LedPartitions),
  ]);
  const die = () => process.kill(process.pid, 'SIGKILL');
  class Dying extends LedPartitions {
    #others = [];
    async call(database, partition, what, ...rest) {
      if (STEP === 'empty file') { this.of(0).port; die(); }
      if (STEP === 'some partitions' && what === 'create' && partition === 3) {
        await Promise.all(this.#others);
        // What waits for them goes on first.
        await new Promise((resolve) => setImmediate(resolve));
        die();
      }
      const answer = super.call(database, partition, what, ...rest);
      if (what === 'create') this.#others.push(answer);
      if (STEP === 'all partitions' && what === 'found') { await answer; die(); }
      return answer;
    }
  }
  const directory = DataDirectory.open(DATA);
  const { founding, ...rest } = await leadershipOf(directory, { partitions: 3 }, null);
  if (STEP === 'record') die();
  await foundHere(directory, founding, new Dying({ ...rest, directory, secret: undefined, log: () => undefined }));
`;

/** A founding that is killed when it has come so far. */
function dieAt(step: string, name: string): Promise<Ended> {
  const source = new URL('../../src/node-agent/', import.meta.url).href;
  const values = { SOURCE: source, DATA: path(name), STEP: step };
  const constants = Object.entries(values).map(([key, value]) => `const ${key} = ${JSON.stringify(value)};`);
  const script = `${constants.join('\n')}${SCRIPT}`;
  return run([], { program: [process.execPath, '--input-type=module', '--eval', script] });
}

describe('a cluster with no edge', { timeout: 120_000 }, () => {
  test('is founded by one command, and is there again whatever ends it', async () => {
    const first = agent('c1', ['--init', '--partitions', '3', '--name', 'founder'], {});
    const url = await urlOf(first);
    const [[, token = ''], [, secret = '']] = await Promise.all([
      first.seen(/^token {2}(\S{40,})$/m),
      first.seen(/^secret (\S{40,})$/m),
    ]);
    for (const [name, text] of Object.entries({ token, secret })) {
      expect(readFileSync(join(path('c1'), name), 'utf8').trim()).toBe(text);
      expect(statSync(join(path('c1'), name)).mode & 0o777).toBe(0o600);
    }
    const client = new Client(url, token);
    await client.fill();
    const posts = await client.rows(POSTS);
    expect(posts).toHaveLength(20);
    for (const partition of [1, 2, 3]) expect(rowsIn('c1', partition, POSTS).length).toBeGreaterThan(0);
    const headers = { authorization: `Bearer ${token}` };
    const { hosts } = (await (await fetch(`${url}/v1/hosts`, { headers })).json()) as { hosts: unknown[] };
    const led = PARTITIONS.map((partition) => ({ partition, role: 'leader' }));
    expect(hosts).toMatchObject([{ name: 'founder', kind: 'agent', status: 'write', replicas: led }]);

    await kill(first);
    const second = agent('c1', [], {});
    const again = new Client(await urlOf(second), token);
    expect(await again.rows(POSTS)).toEqual(posts);
    expect(await again.rows(COUNTRIES)).toHaveLength(2);
    await again.rows('ALTER TABLE post ADD COLUMN note TEXT');
    await again.write(20);

    second.child.kill('SIGTERM');
    const { code, stdout } = await second.ended;
    expect(code).toBe(0);
    // What is made is shown once.
    expect(stdout).toContain(`token  kept in ${join(path('c1'), 'token')}`);
    expect(stdout).not.toContain(token);
    expect(stdout).not.toContain(secret);

    const third = new Client(await urlOf(agent('c1', ['--init', '--partitions', '3'], {})), token);
    const ids = (await third.rows(POSTS)).map(([id]) => id);
    expect(new Set(ids).size).toBe(40);
    await third.rows(`INSERT INTO country VALUES ('FR', 'France')`);
    expect(await third.rows(`SELECT count(*) FROM post, country`)).toEqual([[40 * 3]]);
  });

  test('others join it by the line that it prints, and have copies that equal it', {
    timeout: 120_000,
  }, async () => {
    const first = agent('d1', ['--init', '--partitions', '3'], { ATOLL_TOKEN: TOKEN });
    const url = await urlOf(first);
    const client = new Client(url, TOKEN);
    await client.fill();
    const [, secret = '', seed = ''] = await first.seen(
      /^join {3}ATOLL_SECRET=(\S+) atoll agent --join (\S+) /m,
    );
    expect(seed).toBe(url);
    const joined = startAgent({ url } as TestEdge, path('d2'), [], { env: { ATOLL_SECRET: secret } });
    running.push(joined.running);
    const follower = new Client(await joined.ready(), TOKEN);
    expect(await follower.rows(POSTS)).toEqual(await client.rows(POSTS));
    await follower.write(10);
    await client.rows(`UPDATE country SET name = 'Nippon' WHERE code = 'JP'`);
    await equal('d1', 'd2');
    expect(await follower.rows(POSTS)).toHaveLength(30);

    // Those who follow go on when it is there again.
    await kill(first);
    const { port } = new URL(url);
    await urlOf(agent('d1', ['--port', port], { ATOLL_TOKEN: TOKEN }));
    await client.write(10);
    await equal('d1', 'd2');

    // And their copies are a way out, led by another host.
    for (const each of running.splice(0)) await kill(each);
    expect((await run(['agent', 'recover', '--data', path('d2'), '--to', path('d3')])).code).toBe(0);
    const recovered = await urlOf(agent('d3'));
    expect(await new Client(recovered, TOKEN).rows(POSTS)).toHaveLength(40);
  });

  /** Resolves when every partition's file has the same rows and the same end of its log in both directories. */
  function equal(name: string, other: string): Promise<true> {
    return until(`${other} equals ${name}`, () => {
      for (const partition of PARTITIONS)
        for (const sql of [POSTS, COUNTRIES, 'SELECT last_commit_id, last_timestamp FROM _atoll_head'])
          expect(rowsIn(other, partition, sql)).toEqual(rowsIn(name, partition, sql));
      return true;
    });
  }

  test('the host that leads is called what its operator says last, and another one that leads is not', async () => {
    const named = async (url: string): Promise<unknown> => {
      const [view, network] = await Promise.all([call(url, '/v1/hosts'), call(url, '/v1/network')]);
      expect(network.hosts[0].name ?? null).toBe(view.hosts[0].name);
      return view.hosts[0].name;
    };
    expect(await named(await urlOf(agent('n1', ['--init', '--partitions', '1'])))).toBeNull();
    for (const name of ['garage', 'cellar']) {
      await kill(running.pop() as Running);
      expect(await named(await urlOf(agent('n1', ['--name', name])))).toBe(name);
    }
    await kill(running.pop() as Running);
    expect((await run(['agent', 'recover', '--data', path('n1'), '--to', path('n2')])).code).toBe(0);
    expect(await named(await urlOf(agent('n2')))).toBeNull();
  });
});

describe('a founding that was interrupted', { timeout: 120_000 }, () => {
  const statuses = (name: string): unknown[] =>
    rowsIn(name, 0, 'SELECT status FROM atoll_partitions ORDER BY partition').flat();

  test.each([
    ['record', null, ['--init']],
    ['empty file', null, []],
    ['some partitions', ['write', 'write', 'creating'], []],
    ['all partitions', ['write', 'write', 'write'], ['--init', '--partitions', '3']],
  ] as const)('goes on: killed at %s', async (step, then, more) => {
    const name = `i ${step}`;
    expect((await dieAt(step, name)).signal).toBe('SIGKILL');
    if (then !== null) expect(statuses(name)).toEqual(then);
    const { host } = opened(name);
    expect(host?.founding).toEqual({ database: 'main', partitions: 3 });
    const client = new Client(await urlOf(agent(name, more)), TOKEN);
    await client.fill();
    expect(await client.rows(POSTS)).toHaveLength(20);
    expect(statuses(name)).toEqual(['write', 'write', 'write']);
    await kill(running.pop() as Running);
    const { founding, ...whole } = opened(name).host ?? {};
    expect(founding).toBeUndefined();
    expect(whole).toMatchObject({ key: host?.key, cluster: { database: 'main' } });
  });

  test('keeps its number of partitions, and joins nobody', async () => {
    expect((await dieAt('record', 'half')).signal).toBe('SIGKILL');
    const other = await refused('half', ['--init', '--partitions', '4']);
    expect(other.stderr).toMatch(/half is 3, not 4.*\n.*leave --partitions out, or name 3/);
    const joining = await refused('half', ['--join', 'http://127.0.0.1:1']);
    expect(joining.stderr).toMatch(/its founding was interrupted\n.*finish it: leave --join out/);
  });

  function opened(name: string): DataDirectory {
    const opened = DataDirectory.open(path(name));
    opened.close();
    return opened;
  }
});

describe('what is refused', { timeout: 120_000 }, () => {
  test('to found and to join at once, a number of partitions without a founding, no directory', async () => {
    const both = await refused('x', ['--init', '--join', 'http://127.0.0.1:1']);
    expect(both.code).toBe(2);
    expect(both.stderr).toMatch(/--init and --join exclude each other/);
    expect((await refused('x', ['--partitions', '2'])).stderr).toMatch(/--partitions belongs to --init/);
    expect((await refused('x', ['--init', '--partitions', '0'])).stderr).toMatch(/from 1 to 1024/);
    expect((await run(['agent', '--init'])).stderr).toMatch(/--data is missing/);
    expect((await refused('x', [])).stderr).toMatch(/--join is missing\n.*--init/);
  });

  test('a directory that holds something else, and it stays as it was', async () => {
    mkdirSync(path('full'));
    writeFileSync(join(path('full'), 'format'), '1\n');
    const full = await refused('full', ['--init']);
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/full is not empty: it holds format\n.*choose an empty directory/);

    const edge = await TestEdge.start(2);
    try {
      const { running: follower, ready } = startAgent(edge, path('f1'));
      await ready();
      await kill(follower);
      const record = readFileSync(join(path('f1'), 'host.json'), 'utf8');
      const { code, stderr } = await refused('f1', ['--init']);
      expect(code).toBe(1);
      expect(stderr).toMatch(/f1 holds copies of another cluster: main, history .*\n.*atoll agent recover/);
      expect(readFileSync(join(path('f1'), 'host.json'), 'utf8')).toBe(record);
    } finally {
      await edge.close();
    }

    // A host that has asked, and was not taken in yet.
    const asked = agent('f2', ['--join', 'http://127.0.0.1:1']);
    await asked.seen(/not reached yet/);
    await kill(asked);
    expect((await refused('f2', ['--init'])).stderr).toMatch(/asked another cluster to take it in/);
  });

  test('to join another cluster with the directory of one that leads, and a second agent on it', async () => {
    const leading = agent('l1', ['--init', '--partitions', '1']);
    await urlOf(leading);
    expect((await refused('l1', ['--init'])).stderr).toMatch(/in use by another agent/);
    await kill(leading);
    const { code, stderr } = await refused('l1', ['--join', 'http://127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/l1 leads a cluster of its own\n.*leave --join out/);
    const fewer = await refused('l1', ['--init', '--partitions', '2']);
    expect(fewer.stderr).toMatch(/partitions in .*l1 is 1, not 2/);
  });

  test('hosts with another secret, or any where there is none; tokens where none is set', async () => {
    const first = agent('s1', ['--init', '--partitions', '1']);
    const url = await urlOf(first);
    const stranger = startAgent({ url } as TestEdge, path('s2'), [], { env: { ATOLL_SECRET: 'wrong' } });
    expect((await stranger.running.ended).stderr).toMatch(/set ATOLL_SECRET to the secret of the cluster/);
    await kill(first);

    const bare = agent('s1', ['--init'], {});
    const closed = await urlOf(bare);
    await bare.seen(/^token {2}none: ATOLL_TOKEN is not set$/m);
    await bare.seen(/^no other host may join: ATOLL_SECRET is not set$/m);
    await expect(call(closed, '/v1/hosts')).rejects.toThrow('401');
    const late = startAgent({ url: closed } as TestEdge, path('s3'));
    expect((await late.running.ended).stderr).toMatch(/was started without ATOLL_SECRET/);
  });
});
