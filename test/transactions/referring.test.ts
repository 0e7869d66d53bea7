import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestCluster } from '../cluster/cluster.ts';
import { importInto } from '../gateway/loading.ts';
import { BesideSqlite, type Statement, send } from './beside-sqlite.ts';

/** Rows of reference tables go, or get other keys, while rows of partitioned tables refer to them: docs/sql.md. */

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ partitions: 4 });
});
afterAll(() => cluster.dispose());

const LANDS = ['a', 'b', 'c', 'd', 'e', 'f', 'none'];

async function world(suffix: string, action: string, more = ''): Promise<[BesideSqlite, string, string]> {
  const [lands, towns] = [`lands${suffix}`, `towns${suffix}`];
  const beside = await BesideSqlite.create(
    cluster,
    `CREATE TABLE ${lands} (code TEXT PRIMARY KEY, name TEXT) REFERENCE`,
    `CREATE TABLE ${towns} (id INTEGER PRIMARY KEY, land TEXT DEFAULT 'none' REFERENCES ${lands} (code) ${action}, name TEXT${more}) PARTITION BY (id)`,
  );
  await beside.both(
    ...LANDS.map((code) => [`INSERT INTO ${lands} VALUES (?, ?)`, code, `of ${code}`] as const),
    ...Array.from(
      { length: 24 },
      (_, i) => [`INSERT INTO ${towns} VALUES (?, ?, ?)`, i + 1, LANDS[i % 6], `t${i}`] as const,
    ),
  );
  return [beside, lands, towns];
}

describe('rows that refer to rows of reference tables', () => {
  test.each([
    ['1', ''],
    ['2', 'ON DELETE RESTRICT ON UPDATE RESTRICT'],
    ['3', 'ON DELETE CASCADE ON UPDATE CASCADE'],
    ['4', 'ON DELETE SET NULL ON UPDATE SET NULL'],
    ['5', 'ON DELETE SET DEFAULT ON UPDATE SET DEFAULT'],
    ['6', 'ON DELETE CASCADE'],
    ['7', 'ON UPDATE CASCADE'],
  ])('are kept as SQLite keeps them (%s: %s)', async (suffix, action) => {
    const [beside, lands, towns] = await world(suffix, action);
    const does = (...statements: Statement[]) => beside.both(...statements);
    const gone = await does([`DELETE FROM ${lands} WHERE code = ?`, 'a']);
    if (gone.error === undefined)
      expect([gone.rowsAffected, gone.plan.kind, gone.plan.partitions]).toEqual([1, 'transaction', [0]]);
    await does([`UPDATE ${lands} SET code = ? WHERE code = ?`, 'bb', 'b']);
    await does(`UPDATE ${lands} SET code = upper(code) WHERE code IN ('c', 'd')`);
    await does([`INSERT OR REPLACE INTO ${lands} VALUES (?, ?)`, 'e', 'again']);
    await does([
      `INSERT INTO ${lands} VALUES (?, ?) ON CONFLICT (code) DO UPDATE SET code = excluded.name`,
      'f',
      'ff',
    ]);
    await does(`UPDATE ${lands} SET name = 'other', code = code`);
    // Nobody refers to it.
    await does(`INSERT INTO ${lands} VALUES ('z', 'z')`);
    await does(`UPDATE ${lands} SET code = 'zz' WHERE code = 'z'`);
    await does(`DELETE FROM ${lands} WHERE code = 'zz'`);
    await does(`DELETE FROM ${towns} WHERE id > 4`);
    await does(`DELETE FROM ${lands}`);
  });

  test('rows that refer go before, in the same batch', async () => {
    const [beside, lands, towns] = await world('10', '');
    await beside.both(
      [`DELETE FROM ${towns} WHERE land = ?`, 'a'],
      [`UPDATE ${towns} SET land = ? WHERE land = ?`, 'c', 'b'],
      [`DELETE FROM ${lands} WHERE code IN (?, ?)`, 'a', 'b'],
    );
    await beside.both(
      [`DELETE FROM ${towns} WHERE land = ? AND id > 10`, 'c'],
      [`DELETE FROM ${lands} WHERE code = ?`, 'c'],
    );
    // It is judged in the end, so that the other order does too, which SQLite refuses.
    const later = await send(
      cluster,
      [`DELETE FROM ${lands} WHERE code = ?`, 'd'],
      [`DELETE FROM ${towns} WHERE land = ?`, 'd'],
    );
    expect([later.status, later.json.error]).toEqual([200, undefined]);
    beside.inSqlite(
      [`DELETE FROM ${towns} WHERE land = ?`, 'd'],
      [`DELETE FROM ${lands} WHERE code = ?`, 'd'],
    );
    await beside.expectSame();
  });

  test('a row that comes to lack its parent beside rows that lose theirs is found', async () => {
    const [beside, lands, towns] = await world('15', '');
    await beside.both(
      `UPDATE ${towns} SET land = CASE land WHEN 'b' THEN 'nosuch' WHEN 'a' THEN 'c' ELSE land END`,
      [`DELETE FROM ${lands} WHERE code = ?`, 'a'],
    );
    const own = await BesideSqlite.create(
      cluster,
      'CREATE TABLE lands16 (code TEXT PRIMARY KEY) REFERENCE',
      `CREATE TABLE towns16 (k INTEGER, id INTEGER, land TEXT REFERENCES lands16, PRIMARY KEY (k, id)) PARTITION BY (k)`,
    );
    await own.both("INSERT INTO lands16 VALUES ('a'), ('c')", "INSERT INTO towns16 VALUES (1, 2, 'a')");
    await own.both(
      "INSERT OR REPLACE INTO towns16 VALUES (1, 1, 'nosuch'), (1, 2, 'c')",
      "DELETE FROM lands16 WHERE code = 'a'",
    );
    await own.both(
      "INSERT OR REPLACE INTO towns16 VALUES (1, 1, 'c'), (1, 2, 'c')",
      "DELETE FROM lands16 WHERE code = 'a'",
    );
  });

  test('a key that comes back to its table is not updated in one step', async () => {
    const beside = await BesideSqlite.create(
      cluster,
      'CREATE TABLE parts (id INTEGER PRIMARY KEY, up INTEGER REFERENCES parts ON UPDATE CASCADE) REFERENCE',
      'CREATE TABLE stock (id INTEGER PRIMARY KEY, part INTEGER REFERENCES parts ON UPDATE CASCADE ON DELETE CASCADE)',
    );
    await beside.both('INSERT INTO parts VALUES (4, 4)');
    await beside.both('INSERT INTO stock VALUES (1, 4)');
    const { status, json } = await send(cluster, 'UPDATE parts SET id = 14 WHERE id = 4');
    expect([status, json.error.code]).toEqual([400, 'unsupported']);
    expect(json.error.message).toMatch(/"parts" may come back to it.*insert a row/);
    await beside.both('UPDATE parts SET up = NULL WHERE id = 4');
    await beside.both('DELETE FROM parts WHERE id = 4');
  });

  test('affinities count as in SQLite', async () => {
    const beside = await BesideSqlite.create(
      cluster,
      'CREATE TABLE texts (code TEXT PRIMARY KEY) REFERENCE',
      'CREATE TABLE reals (code REAL PRIMARY KEY) REFERENCE',
      'CREATE TABLE of_texts (id INTEGER PRIMARY KEY, code INTEGER REFERENCES texts)',
      'CREATE TABLE of_reals (id INTEGER PRIMARY KEY, code TEXT REFERENCES reals ON DELETE CASCADE)',
    );
    await beside.both(
      "INSERT INTO texts VALUES ('5'), ('05'), ('6')",
      'INSERT INTO reals VALUES (1.0), (1.5), (2.5)',
    );
    for (const [id, code] of [
      [1, 5],
      [2, 5],
      [3, 6],
    ])
      await beside.both(['INSERT INTO of_texts VALUES (?, ?)', id, code]);
    for (const [id, code] of [
      [1, '1'],
      [2, '1.5'],
      [3, '1.50'],
      [4, '2.5'],
    ])
      await beside.both(['INSERT INTO of_reals VALUES (?, ?)', id, code]);
    await beside.both("DELETE FROM texts WHERE code = '5'");
    await beside.both("DELETE FROM texts WHERE code = '05'");
    for (const code of [1, 1.5, 2.5]) await beside.both(['DELETE FROM reals WHERE code = ?', code]);
  });

  test.each([
    ['REAL', "'1'", "'1.0'", 1],
    ['INTEGER', "'05'", "'5'", 5],
  ] as const)(
    'rows of %s that are equal to a key and refer to another one are left alone',
    async (type, key, other, value) => {
      for (const action of ['CASCADE', 'SET NULL']) {
        const [keys, of] = [`keys_${type}_${action.length}`, `of_${type}_${action.length}`];
        const beside = await BesideSqlite.create(
          cluster,
          `CREATE TABLE ${keys} (id INTEGER PRIMARY KEY, e TEXT UNIQUE) REFERENCE`,
          `CREATE TABLE ${of} (id INTEGER PRIMARY KEY, f ${type} REFERENCES ${keys}(e) ON DELETE ${action} ON UPDATE ${action})`,
        );
        await beside.both(`INSERT INTO ${keys} VALUES (1, ${key}), (2, ${other})`);
        for (const id of [1, 2, 3]) await beside.both([`INSERT INTO ${of} VALUES (?, ?)`, id, value]);
        await beside.both(`DELETE FROM ${keys} WHERE id = 1`);
        await beside.both(`UPDATE ${keys} SET e = 'q' WHERE id = 1`);
        await beside.both(`DELETE FROM ${keys} WHERE id = 2`);
      }
    },
  );

  test('a partition that has not got a row yet waits for it, rather than say that there is none', async () => {
    const [, lands, towns] = await world('17', '');
    const { json } = await cluster.query(`SELECT id FROM ${towns}`);
    const all = (json.rows as [number][]).map(([id]) => id);
    await cluster.rpc(3, 'fault', { fault: 'deaf', on: 'feed' });
    const lost = await send(cluster, [`INSERT INTO ${lands} VALUES (?, 'new')`, 'x']);
    expect([lost.status, lost.json.error.outcome]).toEqual([503, 'unknown']);
    expect((await send(cluster, [`SELECT count(*) FROM ${lands} WHERE code = ?`, 'x'])).json.rows).toEqual([
      [1],
    ]);
    for (const id of all) {
      const update: Statement = [`UPDATE ${towns} SET land = ? WHERE id = ?`, 'x', id];
      const answers = [
        await send(cluster, update),
        await send(cluster, update, [`SELECT name FROM ${towns} WHERE id = ?`, id]),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    }
    const again = await send(cluster, [`INSERT INTO ${lands} VALUES (?, 'new')`, 'y']);
    expect([again.status, again.json.error.outcome]).toEqual([503, 'unknown']);
    const rows = all.map((id) => JSON.stringify({ id: 1000 + id, land: 'y', name: 'imported' }));
    const imported = await importInto(cluster, towns, rows.join('\n'));
    expect([imported.status, imported.json.error]).toEqual([200, undefined]);
    const count = await send(cluster, [`SELECT count(*) FROM ${towns} WHERE land = ?`, 'y']);
    expect(count.json.rows).toEqual([[all.length]]);
    await cluster.rpc(3, 'fault', { fault: 'none' });
  });

  test('replaced rows, and rows that refer to them, in one batch', async () => {
    const beside = await BesideSqlite.create(
      cluster,
      'CREATE TABLE kept (code TEXT PRIMARY KEY ON CONFLICT REPLACE, n INTEGER) REFERENCE',
      'CREATE TABLE keeps (id INTEGER PRIMARY KEY, code TEXT REFERENCES kept)',
    );
    const does = (...statements: Statement[]) => beside.both(...statements);
    await does("INSERT INTO kept VALUES ('a', 1)", "INSERT INTO keeps VALUES (1, 'a')");
    await does("INSERT INTO kept VALUES ('a', 2), ('b', 1)", "INSERT INTO keeps VALUES (2, 'a'), (3, 'b')");
    await does("INSERT OR REPLACE INTO kept VALUES ('b', 3)", "INSERT INTO keeps VALUES (4, 'b')");
  });

  test('what foreign keys change is not used beside it', async () => {
    const [beside, lands, towns] = await world('11', 'ON DELETE CASCADE');
    const takes = [`DELETE FROM ${lands} WHERE code = ?`, 'a'] as const;
    for (const statements of [
      [`SELECT count(*) FROM ${towns}`, takes],
      [`DELETE FROM ${towns} WHERE id = 1`, takes],
      [takes, `SELECT count(*) FROM ${towns}`],
    ] as const) {
      const { status, json } = await send(cluster, ...statements);
      expect([status, json.error.code, json.error.outcome]).toEqual([400, 'unsupported', 'none']);
    }
    await beside.expectSame();
  });

  test('rows move, when the partition key is what refers', async () => {
    const beside = await BesideSqlite.create(
      cluster,
      'CREATE TABLE zones (code TEXT PRIMARY KEY, name TEXT) REFERENCE',
      `CREATE TABLE spots (zone TEXT REFERENCES zones (code) ON DELETE SET NULL ON UPDATE CASCADE, n INTEGER, name TEXT UNIQUE,
         PRIMARY KEY (zone, n)) PARTITION BY (zone)`,
    );
    const codes = ['p', 'q', 'r', 's', 't', 'u', 'v', 'w'];
    await beside.both(
      ...codes.map((code) => ['INSERT INTO zones VALUES (?, ?)', code, code] as const),
      ...codes.flatMap((code, i) =>
        [1, 2].map((n) => ['INSERT INTO spots VALUES (?, ?, ?)', code, n + 2 * i, `${code}${n}`] as const),
      ),
    );
    await beside.both("UPDATE zones SET code = code || 'x'");
    await beside.both("DELETE FROM zones WHERE code IN ('px', 'qx', 'rx')");
    // The index over partitions has followed.
    await beside.both(['INSERT INTO spots VALUES (?, ?, ?)', 'sx', 100, 'p1']);
    await beside.both(['DELETE FROM spots WHERE name = ?', 'p1']);
    await beside.both(['INSERT INTO spots VALUES (?, ?, ?)', 'sx', 100, 'p1']);
  });

  test('further foreign keys act, over partitions too, and triggers fire', async () => {
    const beside = await BesideSqlite.create(
      cluster,
      'CREATE TABLE makers (id INTEGER PRIMARY KEY, name TEXT) REFERENCE',
      'CREATE TABLE brands (id INTEGER PRIMARY KEY, maker INTEGER REFERENCES makers ON DELETE CASCADE) REFERENCE',
      `CREATE TABLE goods (sku TEXT PRIMARY KEY, brand INTEGER REFERENCES brands ON DELETE CASCADE, n INTEGER)`,
      `CREATE TABLE sold (sku TEXT REFERENCES goods ON DELETE CASCADE, n INTEGER, PRIMARY KEY (sku, n))`,
      'CREATE TABLE likes (who TEXT PRIMARY KEY, sku TEXT REFERENCES goods ON DELETE SET NULL) PARTITION BY (who)',
      'CREATE TABLE graves (sku TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID',
      'CREATE TRIGGER buried AFTER DELETE ON goods BEGIN INSERT INTO graves VALUES (OLD.sku, OLD.n); END',
    );
    await beside.both(
      "INSERT INTO makers VALUES (1, 'one'), (2, 'two')",
      'INSERT INTO brands VALUES (10, 1), (11, 1), (20, 2)',
    );
    for (let i = 0; i < 12; i++) {
      await beside.both(['INSERT INTO goods VALUES (?, ?, ?)', `s${i}`, [10, 11, 20][i % 3], i]);
      await beside.both(['INSERT INTO sold VALUES (?, ?)', `s${i}`, i]);
      await beside.both(['INSERT INTO likes VALUES (?, ?)', `w${i}`, `s${i}`]);
    }
    await beside.both('DELETE FROM makers WHERE id = 1');
    expect(beside.rows('SELECT count(*) FROM goods')).toEqual([[4]]);
  });

  test('keys compare as the reference table does', async () => {
    const beside = await BesideSqlite.create(
      cluster,
      'CREATE TABLE tones (name TEXT COLLATE NOCASE UNIQUE, n INTEGER PRIMARY KEY) REFERENCE',
      `CREATE TABLE notes (id INTEGER PRIMARY KEY, tone TEXT REFERENCES tones (name) ON DELETE CASCADE ON UPDATE CASCADE,
         n TEXT REFERENCES tones (n) ON DELETE CASCADE)`,
    );
    await beside.both("INSERT INTO tones VALUES ('Do', 1), ('Re', 2), ('Mi', 3)");
    for (let i = 1; i <= 8; i++)
      await beside.both([
        'INSERT INTO notes VALUES (?, ?, ?)',
        i,
        i % 2 === 0 ? 'dO' : 'RE',
        i % 4 === 0 ? '3' : null,
      ]);
    await beside.both("UPDATE tones SET name = 'DO' WHERE n = 1");
    await beside.both("UPDATE tones SET name = 'Fa' WHERE n = 2");
    await beside.both('DELETE FROM tones WHERE n = 3');
    await beside.both('DELETE FROM tones WHERE n = 1');
  });

  test('a key has it done once, and EXPLAIN tells', async () => {
    const [beside, lands] = await world('12', 'ON DELETE SET NULL');
    const request = {
      sql: `DELETE FROM ${lands} WHERE code = ? RETURNING name`,
      args: ['a'],
      idempotencyKey: `${Date.now()}-${'5'.repeat(22)}`,
    };
    beside.inSqlite([`DELETE FROM ${lands} WHERE code = ?`, 'a']);
    for (const _ of [1, 2]) {
      const { status, json } = await cluster.post('/v1/query', request);
      expect([status, json.rows, json.rowsAffected]).toEqual([200, [['of a']], 1]);
      await beside.expectSame();
    }
    const { rows } = (await cluster.query(`EXPLAIN DELETE FROM ${lands}`)).json;
    expect(rows).toContainEqual(['rows may refer to it', 'towns12: all partitions take part']);
    expect(rows).toContainEqual(['foreign keys then change', 'towns12']);
    // Nothing is asked of the others for what nobody may refer to.
    const other = await cluster.query(`UPDATE ${lands} SET name = 'x'`);
    expect([other.status, other.json.plan.kind]).toEqual([200, 'route']);
  });

  test('what fails in one partition is done in none', async () => {
    const [beside, lands] = await world('13', 'ON DELETE SET NULL', ', CHECK (land IS NOT NULL OR id <> 7)');
    await beside.both(`DELETE FROM ${lands} WHERE code = 'a'`);
    await beside.both(`DELETE FROM ${lands} WHERE code = 'b'`);
  });

  test('none is left alone by those who come meanwhile', async () => {
    const [, lands, towns] = await world('14', 'ON DELETE CASCADE');
    const work: Promise<unknown>[] = [];
    const outcomes = new Map<string, number>();
    for (let i = 0; i < 120; i++) {
      const code = LANDS[i % 3];
      const statement: Statement =
        i % 6 === 5
          ? [`DELETE FROM ${lands} WHERE code = ?`, code]
          : i % 6 === 2
            ? [`INSERT INTO ${lands} VALUES (?, 'new') ON CONFLICT DO NOTHING`, code]
            : i % 6 === 0
              ? [`UPDATE ${towns} SET land = ? WHERE id = ?`, code, (i % 24) + 1]
              : [`INSERT INTO ${towns} VALUES (?, ?, 'new')`, 1000 + i, code];
      work.push(
        send(cluster, statement).then(({ status, json }) => {
          const key = status === 200 ? 'done' : json.error.code;
          outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
        }),
      );
      if (i % 12 === 11) await Promise.all(work.splice(0));
    }
    expect([...outcomes.keys()].filter((key) => key !== 'done' && key !== 'constraint')).toEqual([]);
    expect(outcomes.get('done')).toBeGreaterThan(20);
    const orphans = `SELECT t.id FROM ${towns} AS t LEFT JOIN ${lands} AS l ON l.code = t.land WHERE l.code IS NULL`;
    expect((await cluster.query(orphans)).json.rows).toEqual([]);
  });
});
