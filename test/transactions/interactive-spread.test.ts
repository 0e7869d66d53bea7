import { DatabaseSync } from 'node:sqlite';
import { beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';

/**
 * Interactive transactions whose rows move to other partitions, and have values that are unique over all of them: interleaved
 * with each other and with single statements, against plain SQLite. Whatever commits is run there at that moment, alone, and
 * must have seen the same all along.
 */

const SCHEMA =
  'CREATE TABLE people (name TEXT, town TEXT, nick TEXT UNIQUE, n INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (town, name))';
const PARTITIONED = `${SCHEMA} PARTITION BY (town)`;
const ALL = 'SELECT name, town, nick, n FROM people ORDER BY name, town';
const TOWNS = ['ash', 'bell', 'corn', 'dune', 'elm'];
const NAMES = ['ann', 'bob', 'cy'];
const NICKS = ['x', 'y', 'z', null];

type Value = string | number | null;

interface Statement {
  readonly sql: string;
  readonly args: Value[];
}

type Step = Statement | { readonly sql: string; readonly savepoint: true };

function statementOf(random: Random): Statement {
  const town = () => random.pick(TOWNS);
  const name = () => random.pick(NAMES);
  const nick = () => random.pick(NICKS);
  const statements: (() => [string, ...Value[]])[] = [
    () => [ALL],
    () => ['SELECT name, town FROM people WHERE nick = ?', random.pick(['x', 'y', 'z'])],
    () => ['SELECT count(*), sum(n) FROM people WHERE town = ?', town()],
    () => ['INSERT INTO people (name, town, nick) VALUES (?, ?, ?)', name(), town(), nick()],
    () => ['INSERT INTO people (name, town, nick) VALUES (?, ?, ?)', name(), town(), nick()],
    () => ['INSERT INTO people (name, town) VALUES (?1, ?2), (?1, ?3)', name(), town(), town()],
    () => ['UPDATE people SET nick = ? WHERE town = ? AND name = ?', nick(), town(), name()],
    () => [upsert(random), name(), town(), nick()],
    () => [upsert(random), name(), town(), nick()],
    () => ['UPDATE people SET nick = NULL WHERE name = ?', name()],
    () => ['UPDATE people SET town = ? WHERE town = ? AND name = ?', town(), town(), name()],
    () => [
      'UPDATE people SET town = ?, nick = ? WHERE town = ? AND name = ?',
      town(),
      nick(),
      town(),
      name(),
    ],
    () => ['UPDATE people SET town = ? WHERE nick = ?', town(), random.pick(['x', 'y', 'z'])],
    () => ['UPDATE people SET n = n + 1'],
    () => ['UPDATE people SET n = n + 1 WHERE town = ?', town()],
    () => ['DELETE FROM people WHERE nick = ?', random.pick(['x', 'y', 'z'])],
    () => ['DELETE FROM people WHERE town = ? AND name = ?', town(), name()],
  ];
  const [sql, ...args] = random.pick(statements)();
  return { sql, args };
}

function upsert(random: Random): string {
  const [verb, clause] = random.pick([
    ['INSERT OR IGNORE', ''],
    ['REPLACE', ''],
    ['INSERT', 'ON CONFLICT (nick) DO UPDATE SET n = n + 1'],
    ['INSERT', 'ON CONFLICT (nick) DO UPDATE SET nick = NULL, n = n + 1'],
    ['INSERT', 'ON CONFLICT DO NOTHING'],
  ]);
  return `${verb} INTO people (name, town, nick) VALUES (?, ?, ?) ${clause}`;
}

type Seen = { readonly rows: unknown[][]; readonly rowsAffected: number } | { readonly error: string };

function runPlain(plain: DatabaseSync, { sql, args }: Statement): Seen {
  try {
    const statement = plain.prepare(sql);
    if (/^SELECT/.test(sql)) {
      statement.setReturnArrays(true);
      return { rows: statement.all(...args) as unknown as unknown[][], rowsAffected: 0 };
    }
    return { rows: [], rowsAffected: Number(statement.run(...args).changes) };
  } catch {
    return { error: 'constraint' };
  }
}

interface Open {
  readonly id: string;
  readonly steps: Step[];
  readonly seen: Seen[];
  readonly names: string[];
}

class Run {
  readonly plain = new DatabaseSync(':memory:');
  committed = 0;
  conflicts = 0;
  readonly #random: Random;
  readonly #cluster: QuietCluster;

  constructor(random: Random, cluster: QuietCluster) {
    this.#random = random;
    this.#cluster = cluster;
    this.plain.exec(SCHEMA);
  }

  async go(steps: number): Promise<void> {
    const open: Open[] = [];
    for (let i = 0; i < steps; i++) {
      if (this.#random.chance(0.15)) await this.#single(statementOf(this.#random));
      if (open.length < 3) {
        const { json } = await this.#cluster.post('/v1/transactions', {});
        open.push({ id: json.id, steps: [], seen: [], names: [] });
      }
      const at = this.#random.below(open.length);
      const goesOn = await this.#step(open[at] as Open);
      if (!goesOn) open.splice(at, 1);
    }
    await this.#compareTables();
  }

  async #single(statement: Statement): Promise<void> {
    const { status, json } = await this.#cluster.post('/v1/query', statement);
    const seen = status === 200 ? shown(json) : { error: json.error.code };
    expect(seen).toEqual(runPlain(this.plain, statement));
  }

  /** False: the transaction has ended. */
  async #step(transaction: Open): Promise<boolean> {
    const { id, steps, seen, names } = transaction;
    const dice = this.#random.below(100);
    if (dice < 14) {
      const { status, json } = await this.#cluster.post(`/v1/transactions/${id}/commit`, {});
      if (status === 200) await this.#replayPlain(transaction);
      else this.#conflict(json);
      return false;
    }
    let step: Step = statementOf(this.#random);
    if (dice < 21) {
      names.push(this.#random.pick(['one', 'two']));
      step = { sql: `SAVEPOINT ${names.at(-1)}`, savepoint: true };
    } else if (dice < 28 && names.length > 0) {
      const name = this.#random.pick(names);
      names.length = names.lastIndexOf(name) + 1;
      step = { sql: `ROLLBACK TO ${name}`, savepoint: true };
    }
    const args = 'args' in step ? step.args : [];
    const { status, json } = await this.#cluster.post(`/v1/transactions/${id}/query`, {
      sql: step.sql,
      args,
    });
    if (status !== 200 && json.error.detail?.transaction !== 'open') {
      this.#conflict(json);
      return false;
    }
    steps.push(step);
    if (!('savepoint' in step)) seen.push(status === 200 ? shown(json) : { error: json.error.code });
    return true;
  }

  #conflict(json: { error: { code: string; outcome: string } }): void {
    expect(json.error).toMatchObject({ code: 'conflict', outcome: 'none' });
    this.conflicts++;
  }

  async #replayPlain({ steps, seen }: Open): Promise<void> {
    this.committed++;
    this.plain.exec('BEGIN');
    const again: Seen[] = [];
    for (const step of steps) {
      if ('savepoint' in step) this.plain.exec(step.sql);
      else again.push(runPlain(this.plain, step));
    }
    this.plain.exec('COMMIT');
    expect(seen).toEqual(again);
    await this.#compareTables();
  }

  async #compareTables(): Promise<void> {
    const { rows } = runPlain(this.plain, { sql: ALL, args: [] }) as { rows: unknown[][] };
    expect((await this.#cluster.query(ALL)).rows).toEqual(rows);
    await this.#cluster.checkIndexes();
  }
}

const shown = (json: { rows: unknown[][]; rowsAffected: number }): Seen => ({
  rows: json.rows,
  rowsAffected: json.rowsAffected,
});

describe('interleaved transactions over partitions answer as if each had run alone when it committed', () => {
  let committed = 0;
  let conflicts = 0;
  const seeds = Number(process.env.ATOLL_SEEDS ?? 6);
  for (let seed = 1; seed <= seeds; seed++) {
    test(`seed ${seed}`, async () => {
      const cluster = await QuietCluster.open(seed, 3, [PARTITIONED]);
      const run = new Run(new Random(seed), cluster);
      await run.go(150);
      committed += run.committed;
      conflicts += run.conflicts;
    });
  }

  test('many commit, and many conflict', () => {
    expect(committed).toBeGreaterThan(seeds * 4);
    expect(conflicts).toBeGreaterThan(seeds * 2);
  });
});

describe('a transaction', () => {
  let cluster: QuietCluster;
  let id = '';
  const run = (sql: string, args: readonly Value[] = []) =>
    cluster.post(`/v1/transactions/${id}/query`, { sql, args });
  const commit = () => cluster.post(`/v1/transactions/${id}/commit`, {});

  beforeAll(async () => {
    cluster = await QuietCluster.open(99, 3, [PARTITIONED]);
  });
  const begin = async () => {
    await cluster.query('DELETE FROM people');
    for (const town of TOWNS)
      await cluster.query("INSERT INTO people (name, town, nick) VALUES ('ann', ?1, ?1)", [town]);
    id = (await cluster.post('/v1/transactions', {})).json.id;
  };

  test('is told at the statement that a value is taken, which then has done nothing anywhere', async () => {
    await begin();
    for (const nick of ['bell', 'corn', 'dune']) {
      const { status, json } = await run("INSERT INTO people (name, town, nick) VALUES ('bob', 'new', ?)", [
        nick,
      ]);
      expect([status, json.error]).toMatchObject([
        409,
        {
          code: 'constraint',
          message: 'UNIQUE constraint failed: people.nick',
          detail: { transaction: 'open' },
        },
      ]);
    }
    expect((await run("SELECT count(*) FROM people WHERE town = 'new'")).json.rows).toEqual([[0]]);
    expect((await run("UPDATE people SET nick = 'free' WHERE town = 'bell'")).status).toBe(200);
    expect((await run("INSERT INTO people (name, town, nick) VALUES ('bob', 'new', 'bell')")).status).toBe(
      200,
    );
    expect(
      (await run("INSERT INTO people (name, town, nick) VALUES ('cy', 'new', 'free')")).json.error?.code,
    ).toBe('constraint');
    expect((await commit()).status).toBe(200);
    await cluster.checkIndexes();
  });

  test('sees a row where it has moved to, and can move it on', async () => {
    await begin();
    for (const town of ['dune', 'elm', 'new'])
      expect((await run('UPDATE people SET town = ?, n = n + 1 WHERE nick = ?', [town, 'ash'])).status).toBe(
        town === 'new' ? 200 : 409,
      );
    expect((await run("SELECT name, nick, n FROM people WHERE town = 'new'")).json.rows).toEqual([
      ['ann', 'ash', 1],
    ]);
    expect((await run("UPDATE people SET town = 'newer' WHERE town = 'new'")).json.rowsAffected).toBe(1);
    expect((await run("UPDATE people SET town = 'ash' WHERE town = 'newer'")).json.rowsAffected).toBe(1);
    expect((await commit()).status).toBe(200);
    expect((await cluster.query(ALL)).rows).toEqual(
      TOWNS.map((town) => ['ann', town, town, town === 'ash' ? 1 : 0]),
    );
    await cluster.checkIndexes();
  });

  test('conflicts if somebody else has taken, or freed, a value meanwhile', async () => {
    for (const [own, other, status] of [
      [
        "INSERT INTO people (name, town, nick) VALUES ('bob', 'new', 'free')",
        "UPDATE people SET nick = 'free' WHERE town = 'elm'",
        200,
      ],
      // In the same partition and in others.
      ...TOWNS.map(
        (town) =>
          [
            `INSERT INTO people (name, town, nick) VALUES ('bob', 'new', '${town}')`,
            `DELETE FROM people WHERE town = '${town}'`,
            409,
          ] as const,
      ),
      [
        "UPDATE people SET town = 'new' WHERE town = 'elm'",
        "UPDATE people SET n = 5 WHERE town = 'elm'",
        200,
      ],
      [
        "INSERT INTO people (name, town, nick) VALUES ('bob', 'ash', 'ash')",
        "UPDATE people SET nick = 'free' WHERE nick = 'ash'",
        409,
      ],
      [
        "UPDATE people SET town = 'new' WHERE nick = 'elm'",
        "INSERT INTO people (name, town) VALUES ('ann', 'new')",
        200,
      ],
    ] as const) {
      await begin();
      expect((await run(own)).status).toBe(status);
      await cluster.query(other);
      const before = (await cluster.query(ALL)).rows;
      expect((await commit()).json.error).toMatchObject({ code: 'conflict', outcome: 'none' });
      expect((await cluster.query(ALL)).rows).toEqual(before);
    }
    await cluster.checkIndexes();
  });
});
