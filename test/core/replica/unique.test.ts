import { describe, expect, test } from 'vitest';
import type { Epoch } from '../../../src/base/brand.ts';
import { prepareWork } from '../../../src/core/replica/participant.ts';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { catchUp, copy } from '../replication/copy.ts';
import { Waves } from './waves.ts';

const PEOPLE = `CREATE TABLE people (id INTEGER PRIMARY KEY, town TEXT, nick TEXT COLLATE NOCASE, code REAL, note TEXT,
  UNIQUE (nick, code)) PARTITION BY (town)`;

const INSERT = 'INSERT INTO people (town, nick, code) VALUES (?, ?, ?)';
const ENTRIES = 'SELECT v0, v1, r0, r1 FROM _atoll_unique_101';

/** Entries of both partitions, and what they should be by the rows. */
function entriesOf(waves: Waves): { there: unknown[]; wanted: unknown[] } {
  const both = (sql: string) =>
    [1, 2]
      .flatMap((partition) => waves.rows(partition, sql))
      .map(String)
      .sort();
  return {
    there: both(ENTRIES),
    wanted: both('SELECT nick, code, town, id FROM people WHERE nick IS NOT NULL AND code IS NOT NULL'),
  };
}

function expectInStep(waves: Waves, count: number): void {
  const { there, wanted } = entriesOf(waves);
  expect(there).toEqual(wanted);
  expect(there.length).toBe(count);
}

describe('entries of an index over partitions', () => {
  test('follow rows that are created, changed, moved and deleted', () => {
    const waves = new Waves(PEOPLE);
    const [[a = '', a1 = ''] = [], [b = ''] = []] = waves.keys;
    const towns: [string, number][] = [
      [a, 1],
      [a1, 1],
      [b, 2],
    ];
    let n = 0;
    const run = (partition: number, sql: string, args: unknown[]) =>
      expect(waves.transact(partition, `t${++n}`, sql, args).map(({ kind }) => kind)).not.toContain('error');
    for (const [town, partition] of towns)
      for (let i = 0; i < 6; i++) run(partition, INSERT, [town, `${town} ${i}`, i]);
    run(1, INSERT, [a, null, 1]);
    run(2, INSERT, [b, 'x', null]);
    expectInStep(waves, 18);
    run(1, "UPDATE people SET nick = nick || '!' WHERE town = ? AND id % 2", [a]);
    run(2, "UPDATE people SET note = 'x', nick = upper(nick) WHERE town = ?", [b]);
    run(1, 'UPDATE people SET town = ? WHERE town = ?', [b, a1]);
    run(1, 'UPDATE people SET town = ? WHERE town = ?', [a1, a]);
    expectInStep(waves, 18);
    run(2, "DELETE FROM people WHERE town = ? AND nick LIKE '%3'", [b]);
    expectInStep(waves, 16);
    run(2, 'UPDATE people SET code = NULL WHERE town = ?', [b]);
    expectInStep(waves, 6);
  });

  test('are undone and done again with their commits, and are in copies', () => {
    const waves = new Waves(PEOPLE);
    const [[a = ''] = []] = waves.keys;
    const copies = [1, 2].map((partition) =>
      copy(waves.cluster.replica(partition), new NodeSqlitePort(':memory:', { synchronous: 'OFF' })),
    );
    for (let i = 0; i < 8; i++) waves.transact(1, `t${i}`, INSERT, [a, `n${i}`, i]);
    const before = entriesOf(waves);
    for (const partition of [1, 2]) expect(undoAndRedo(waves.cluster.replica(partition), 6)).toBe(6);
    expect(entriesOf(waves)).toEqual(before);
    for (const [index, follower] of copies.entries()) {
      if (follower === 'gone') throw new Error('gone');
      const leader = waves.cluster.replica(index + 1);
      catchUp(leader, follower);
      expect(follower.replica.port.query(ENTRIES).rows).toEqual(leader.port.query(ENTRIES).rows);
      const whole = copy(leader, new NodeSqlitePort(':memory:', { synchronous: 'OFF' }));
      if (whole === 'gone') throw new Error('gone');
      expect(whole.replica.port.query(ENTRIES).rows).toEqual(leader.port.query(ENTRIES).rows);
    }
  });

  test('keep a value for one row, wherever it is', () => {
    const waves = new Waves(PEOPLE);
    const [[a = ''] = [], [b = ''] = []] = waves.keys;
    expect(waves.transact(1, 't1', INSERT, [a, 'Nick', 1])).toMatchObject([{ kind: 'done' }]);
    expect(waves.transact(2, 't2', INSERT, [b, 'nick', 1])).toMatchObject([
      {
        kind: 'error',
        error: { code: 'constraint', message: 'UNIQUE constraint failed: people.nick, people.code' },
      },
    ]);
    expect(waves.transact(2, 't3', INSERT, [b, 'nick', 2])).toMatchObject([{ kind: 'done' }]);
    expectInStep(waves, 2);
  });

  test('a value that another row in the same partition has got between two waves is a conflict there, and no defect', () => {
    const codes = new Set<string>();
    for (let code = 1; code <= 8; code++) {
      const waves = new Waves(PEOPLE);
      const [[a = '', a1 = ''] = []] = waves.keys;
      const vote = waves.prepare(1, 'slow', INSERT, [a, 'Nick', code]);
      expect(waves.transact(1, 'quick', INSERT, [a1, 'Nick', code])).toMatchObject([{ kind: 'done' }]);
      const [outcome] = waves.later('slow', [vote]);
      codes.add(outcome?.kind === 'error' ? outcome.error.code : String(outcome?.kind));
      for (const partition of [1, 2]) waves.end(partition, 'slow', false);
      expectInStep(waves, 1);
    }
    expect([...codes].sort()).toEqual(['conflict', 'constraint']);
  });

  test('are changed by transactions only', () => {
    const waves = new Waves(PEOPLE);
    const [[a = ''] = []] = waves.keys;
    waves.transact(1, 't1', INSERT, [a, 'Nick', 1]);
    expect(() => waves.cluster.run(INSERT, [a, 'x', 1])).toThrow(
      expect.objectContaining({ code: 'multi-partition-write' }),
    );
    expect(() => waves.cluster.run('DELETE FROM people WHERE town = ?', [a])).toThrow();
    expect(waves.cluster.run("UPDATE people SET note = 'x' WHERE town = ?", [a]).rowsAffected).toBe(1);
    expectInStep(waves, 1);
  });

  test('wait for a value that another transaction has, and local rows that it is about to free', () => {
    const waves = new Waves(PEOPLE);
    const [[a = '', a1 = ''] = [], [b = ''] = []] = waves.keys;
    waves.transact(1, 't1', INSERT, [a, 'Nick', 1]);
    const vote = waves.prepare(1, 'delete', 'DELETE FROM people WHERE town = ?', [a], 5);
    waves.later('delete', [vote], 5);
    // The same partition still has the row: younger ones try again, older ones wait.
    expect(() => waves.prepare(1, 'young', INSERT, [a1, 'Nick', 1], 9)).toThrow(
      expect.objectContaining({ code: 'conflict' }),
    );
    expect(() => waves.prepare(1, 'old', INSERT, [a1, 'Nick', 1], 1)).toThrow('locked');
    const other = waves.prepare(2, 'other', INSERT, [b, 'Nick', 1], 1);
    expect(waves.later('other', [other], 1)).toMatchObject([{ kind: 'locked' }]);
    for (const partition of [1, 2]) waves.end(partition, 'delete', true);
    expect(waves.later('other', [other], 1)).toMatchObject([{ kind: 'done' }]);
  });

  test('come with an import’s chunk, one after another under one id', () => {
    const waves = new Waves(PEOPLE);
    const [[a = '', a1 = ''] = []] = waves.keys;
    const { schema } = waves.cluster.replica(1);
    const chunk = (line: number, town: string) => ({
      head: {
        epoch: 1 as Epoch,
        schema: schema.version,
        system: 0,
        table: 'people',
        importId: 'x',
        firstLine: line,
        lastLine: line,
        runs: [{ columns: ['town', 'nick', 'code'], generatesIds: true, tagged: [], rowCount: 1 }],
      },
      rows: [JSON.stringify([line, town, `nick ${line}`, 1])],
    });
    const prepare = (transaction: string, line: number, town: string, startedMs: number) => {
      const { part, ...request } = waves.request(1, transaction, { startedMs });
      const asked = { ...request, part: { ...part, chunk: chunk(line, town) } };
      return waves.perform(1, (replica) => prepareWork(replica, asked));
    };
    const first = prepare('first', 1, a, 5);
    expect(first).toMatchObject({ kind: 'done' });
    expect(prepare('older', 2, a1, 1)).toMatchObject({ kind: 'locked' });
    expect(prepare('younger', 2, a1, 9)).toMatchObject({ kind: 'error', error: { code: 'conflict' } });
    const vote = JSON.parse(first.kind === 'done' ? first.body : '{}');
    expect(JSON.parse(vote.reply)).toEqual({ rows: 1, skipped: 0 });
    waves.later('first', [vote], 5);
    for (const partition of [1, 2]) waves.end(partition, 'first', true);
    expectInStep(waves, 1);
    const again = prepare('again', 1, a, 9);
    expect(again).toMatchObject({ kind: 'done', body: expect.stringContaining('skipped\\":1') });
  });

  test('come with their table, and go with it or its constraint', () => {
    const waves = new Waves(PEOPLE);
    const { cluster } = waves;
    const hidden = () =>
      cluster
        .replica(1)
        .port.query("SELECT name FROM sqlite_schema WHERE name GLOB '_atoll_unique*'")
        .rows.flat();
    expect(hidden()).toEqual(['_atoll_unique_101']);
    cluster.schema('ALTER TABLE people RENAME COLUMN nick TO handle', 'ALTER TABLE people RENAME TO folk');
    expect(hidden()).toEqual(['_atoll_unique_101']);
    expect(cluster.replica(1).schema.catalogue.uniques?.[0]?.columns).toEqual(['handle', 'code']);
    cluster.schema('CREATE UNIQUE INDEX notes ON folk (note)');
    expect(hidden().length).toBe(2);
    cluster.schema('DROP INDEX notes');
    expect(hidden()).toEqual(['_atoll_unique_101']);
    cluster.schema('ALTER TABLE folk PARTITION BY (handle)');
    expect(hidden()).toEqual([]);
    cluster.schema('ALTER TABLE folk PARTITION BY (town)');
    expect(hidden()).toEqual(['_atoll_unique_103']);
    cluster.schema('DROP TABLE folk');
    expect(hidden()).toEqual([]);
  });

  test('of rows that are there already are not known at first', () => {
    const waves = new Waves(
      'CREATE TABLE people (id INTEGER PRIMARY KEY, town TEXT, nick TEXT) PARTITION BY (town)',
    );
    waves.cluster.run("INSERT INTO people (town, nick) VALUES (?, 'x')", [waves.keys[0]?.[0]]);
    waves.cluster.schema('CREATE UNIQUE INDEX nicks ON people (nick)');
    for (const partition of [0, 1, 2])
      expect(waves.cluster.replica(partition).schema.catalogue.uniques).toMatchObject([{ state: 'filling' }]);
    expect(waves.rows(1, 'SELECT * FROM _atoll_unique_101')).toEqual([]);
    // An entry that was never made need not go.
    const delete_ = 'DELETE FROM people WHERE town = ?';
    expect(waves.transact(1, 't', delete_, [waves.keys[0]?.[0]])).toMatchObject([{ kind: 'done' }]);
  });
});

test('a value that another row has taken between the waves is refused, wherever its entry belongs', () => {
  const waves = new Waves(PEOPLE);
  const [[a = '', a1 = ''] = []] = waves.keys;
  const codes = Array.from({ length: 8 }, (_, n) => {
    const prepare = (transaction: string, town: string) =>
      waves.prepare(1, transaction, INSERT, [town, `nick ${n}`, 1]);
    const [first, second] = [prepare(`first ${n}`, a), prepare(`second ${n}`, a1)];
    expect(waves.later(`first ${n}`, [first])).toMatchObject([{ kind: 'done' }]);
    for (const partition of [1, 2]) waves.end(partition, `first ${n}`, true);
    const [outcome] = waves.later(`second ${n}`, [second]);
    for (const partition of [1, 2]) waves.end(partition, `second ${n}`, false);
    expectInStep(waves, n + 1);
    return outcome?.kind === 'error' ? outcome.error.code : outcome?.kind;
  });
  // Beside the rows it is they that collide, before the entries do: run again, the transaction is told of the constraint.
  expect(new Set(codes)).toEqual(new Set(['constraint', 'conflict']));
});
