import fc from 'fast-check';
import { assert } from '../../../src/base/assert.ts';
import { RawText, type SqlValue } from '../../../src/base/sql-value.ts';
import { sameValues } from '../../../src/core/log/encoding.ts';
import { bindExact, selectExact } from '../../../src/core/sqlite/exact.ts';
import { type PortValue, SqliteError, type SqlitePort } from '../../../src/core/sqlite/port.ts';

/**
 * What every SqlitePort does, held to both implementations: `core` must not notice where it runs. Each case
 * runs in an empty database; what `run` returns must deeply equal `gives`.
 */
export interface Case {
  readonly name: string;
  readonly run: (port: SqlitePort) => unknown;
  readonly gives: unknown;
}

const refusal =
  (sql: string, ...bindings: PortValue[]) =>
  (port: SqlitePort) => {
    port.query(
      'CREATE TABLE t(a PRIMARY KEY, b NOT NULL CHECK (b > 0), c UNIQUE); INSERT INTO t VALUES (1, 1, 1)',
    );
    port.query('CREATE TABLE parent(id INTEGER PRIMARY KEY); CREATE TABLE child(p REFERENCES parent)');
    port.query(
      "CREATE TABLE raiser(a); CREATE TRIGGER r BEFORE INSERT ON raiser BEGIN SELECT raise(ABORT, 'mine'); END",
    );
    port.query('CREATE TABLE strict(a INT) STRICT; CREATE TABLE deep(n)');
    port.query(
      'CREATE TRIGGER d AFTER INSERT ON deep WHEN NEW.n > 0 BEGIN INSERT INTO deep VALUES (NEW.n - 1); END',
    );
    try {
      port.query(sql, ...bindings);
      return 'accepted';
    } catch (error) {
      if (!(error instanceof SqliteError)) throw error;
      // The database survives, without a trace of the statement.
      if (port.query('SELECT count(*) FROM t').rows[0]?.[0] !== 1) return 'not undone';
      return [error.kind, error.code, error.message];
    }
  };

const WRONG_BINDINGS = ['syntax', 'SQLITE_ERROR', 'Wrong number of parameter bindings for SQL query.'];

/** Statements whose bindings are too few or too many. */
const BINDINGS: readonly (readonly [string, ...PortValue[]])[] = [
  ['SELECT ?'],
  ['SELECT ?, ?', 1],
  ['SELECT ?2', 1],
  ['SELECT :a, @b', 1],
  ['SELECT :a, :a', 1, 2],
  ['SELECT ?', 1, 2],
  ['SELECT 1', 1],
  [`SELECT '?' AS [?], 1 AS "a?", 2 AS "?", 1 /* ? */ -- ?`, 1],
  ['SELECT 1; SELECT ?, ?', 1],
];

const REFUSALS: readonly (readonly [string, ...unknown[]])[] = [
  [
    'INSERT INTO t VALUES (1, 1, 2)',
    'constraint',
    'SQLITE_CONSTRAINT_PRIMARYKEY',
    'UNIQUE constraint failed: t.a',
  ],
  [
    'INSERT INTO t VALUES (2, 1, 1)',
    'constraint',
    'SQLITE_CONSTRAINT_UNIQUE',
    'UNIQUE constraint failed: t.c',
  ],
  [
    'INSERT INTO t VALUES (2, NULL, 2)',
    'constraint',
    'SQLITE_CONSTRAINT_NOTNULL',
    'NOT NULL constraint failed: t.b',
  ],
  [
    'INSERT INTO t VALUES (2, -1, 2)',
    'constraint',
    'SQLITE_CONSTRAINT_CHECK',
    'CHECK constraint failed: b > 0',
  ],
  [
    'INSERT INTO child VALUES (9)',
    'constraint',
    'SQLITE_CONSTRAINT_FOREIGNKEY',
    'FOREIGN KEY constraint failed',
  ],
  ['INSERT INTO raiser VALUES (9)', 'constraint', 'SQLITE_CONSTRAINT_TRIGGER', 'mine'],
  ["INSERT INTO parent VALUES ('x')", 'constraint', 'SQLITE_MISMATCH', 'datatype mismatch'],
  ['SELEC', 'syntax', 'SQLITE_ERROR', 'near "SELEC": syntax error'],
  ['SELECT nope', 'syntax', 'SQLITE_ERROR', 'no such column: nope'],
  ['SELECT abs(1, 2)', 'syntax', 'SQLITE_ERROR', 'wrong number of arguments to function abs()'],
  [
    'SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6',
    'syntax',
    'SQLITE_ERROR',
    'too many terms in compound SELECT',
  ],
  ['CREATE TEMP TABLE x(a)', 'not-authorized', 'SQLITE_AUTH', 'not authorized'],
  ['PRAGMA user_version', 'not-authorized', 'SQLITE_AUTH', 'not authorized'],
  ['CREATE TABLE _cf_x(a)', 'not-authorized', 'SQLITE_AUTH', 'not authorized'],
  ['CREATE TABLE t(a)', 'syntax', 'SQLITE_ERROR', 'table t already exists'],
  ["SELECT json('{')", 'syntax', 'SQLITE_ERROR', 'malformed JSON'],
  ['SELECT abs(-9223372036854775808)', 'syntax', 'SQLITE_ERROR', 'integer overflow'],
  ["UPDATE sqlite_schema SET sql = 'x'", 'syntax', 'SQLITE_ERROR', 'table sqlite_master may not be modified'],
  [
    `SELECT ${Array(101).fill('1').join('+')}`,
    'syntax',
    'SQLITE_ERROR',
    'Expression tree is too large (maximum depth 100)',
  ],
  [`SELECT 'a' LIKE '${'x'.repeat(51)}'`, 'syntax', 'SQLITE_ERROR', 'LIKE or GLOB pattern too complex'],
  ['SELECT ?101', 'syntax', 'SQLITE_ERROR', 'variable number must be between ?1 and ?100'],
  ['SELECT zeroblob(8388643)', 'too-big', 'SQLITE_TOOBIG', 'string or blob too big'],
  [
    "INSERT INTO strict VALUES ('x')",
    'constraint',
    'SQLITE_CONSTRAINT_DATATYPE',
    'cannot store TEXT value in INT column strict.a',
  ],
  [
    'INSERT INTO parent VALUES (1), (1)',
    'constraint',
    'SQLITE_CONSTRAINT_PRIMARYKEY',
    'UNIQUE constraint failed: parent.id',
  ],
  [
    'INSERT INTO child(rowid) VALUES (1), (1)',
    'constraint',
    'SQLITE_CONSTRAINT_ROWID',
    'UNIQUE constraint failed: child.rowid',
  ],
  ['INSERT INTO deep VALUES (11)', 'syntax', 'SQLITE_ERROR', 'too many levels of trigger recursion'],
  ['-- nothing', 'syntax', 'SQLITE_ERROR', 'SQL code did not contain a statement.'],
];

/** Refused by kind; the hosts' texts differ. */
const KINDS: readonly (readonly [string, string])[] = [
  ['BEGIN', 'not-authorized'],
  ['SAVEPOINT x', 'not-authorized'],
  ["ATTACH 'x' AS y", 'not-authorized'],
  ['SELECT sqlite_version()', 'not-authorized'],
  ['SELECT load_extension(1)', 'not-authorized'],
  ['VACUUM', 'not-authorized'],
  ['SELECT name FROM pragma_database_list', 'not-authorized'],
  [`SELECT '${'x'.repeat(100_001)}'`, 'too-big'],
];

function thrown(port: SqlitePort, body: () => void): boolean {
  try {
    port.transaction(body);
    return false;
  } catch {
    return true;
  }
}

export const CASES: readonly Case[] = [
  ...REFUSALS.map(([sql, ...gives]) => ({ name: `refuses ${sql}`, run: refusal(sql), gives })),
  ...KINDS.map(([sql, kind]) => ({
    name: `refuses ${sql.slice(0, 40)}`,
    run: (port: SqlitePort) => (refusal(sql)(port) as string[])[0],
    gives: kind,
  })),
  ...BINDINGS.map(([sql, ...bindings]) => ({
    name: `refuses ${bindings.length} bindings for ${sql}`,
    run: (port: SqlitePort) => {
      try {
        port.queryBounded(sql, bindings, 100);
        return 'accepted';
      } catch (error) {
        if (!(error instanceof SqliteError)) throw error;
      }
      return refusal(sql, ...bindings)(port);
    },
    gives: WRONG_BINDINGS,
  })),
  {
    name: 'refuses parameters before the last statement',
    run: (port) => (refusal('SELECT ?; SELECT 1', 1)(port) as string[])[0],
    gives: 'syntax',
  },
  {
    name: 'binds by number and by name',
    run: (port) => [
      port.query('SELECT ?2, ?1, ?', 'a', 'b', 'c').rows,
      port.query("SELECT :a, @b, $c, :a, '$d'", 'a', 'b', 'c').rows,
    ],
    gives: [[['b', 'a', 'c']], [['a', 'b', 'c', 'a', '$d']]],
  },
  {
    name: 'makes U+FFFD of a lone surrogate',
    run: (port) => port.query('SELECT hex(?)', '\ud800').rows,
    gives: [['EFBFBD']],
  },
  {
    name: 'nests triggers nine deep',
    run: (port) => {
      refusal('SELECT 1')(port);
      port.query('INSERT INTO deep VALUES (9)');
      return port.query('SELECT count(*) FROM deep').rows;
    },
    gives: [[10]],
  },
  {
    name: 'reads values as workerd does',
    run: (port) =>
      port.query("SELECT 1, 1.5, 'a' || char(0), x'', NULL, 9007199254740993, CAST(x'ff' AS TEXT)").rows,
    gives: [[1, 1.5, 'a\0', new Uint8Array(), null, 9007199254740992, '\ufffd']],
  },
  {
    name: 'binds numbers as REAL',
    run: (port) => port.query('SELECT typeof(?), typeof(?), typeof(?), ?', 5, '5', new Uint8Array(), -0).rows,
    gives: [['real', 'text', 'blob', -0]],
  },
  {
    name: 'keeps duplicate column names',
    run: (port) => {
      const { columns, rows } = port.query('SELECT 1 AS a, 2 AS a');
      return { columns, rows };
    },
    gives: { columns: ['a', 'a'], rows: [[1, 2]] },
  },
  {
    name: 'knows the columns of an answer after other statements',
    run: (port) => {
      port.query('CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 2), (3, 4)');
      const none = port.query('SELECT a AS x, b FROM t WHERE a = 7');
      const some = port.queryBounded('SELECT b AS y FROM t', [], 8);
      const written = port.query('UPDATE t SET a = 5 RETURNING a AS z');
      const silent = port.query('UPDATE t SET a = 6');
      port.query('SELECT * FROM t; SELECT a FROM t');
      return [none, some, written, silent].map(({ columns }) => columns);
    },
    gives: [['x', 'b'], ['y'], ['z'], []],
  },
  {
    name: 'runs several statements and gives the rows of the last',
    run: (port) =>
      port.query(
        "CREATE TABLE t(a); CREATE TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET a = CASE a WHEN 1 THEN ';' END; END; " +
          'INSERT INTO t VALUES (1) -- ;\n; SELECT a, ? FROM t;',
        'b',
      ).rows,
    gives: [[';', 'b']],
  },
  {
    name: 'reads up to a bound',
    run: (port) => {
      const { rows, truncated } = port.queryBounded("SELECT value FROM json_each('[1,2,3,4]')", [], 20);
      return [rows, truncated, port.queryBounded('SELECT 1', [], 20).truncated];
    },
    gives: [[[1], [2]], true, false],
  },
  {
    name: 'undoes an inner transaction alone, and an outer one whole',
    run: (port) => {
      port.query('CREATE TABLE t(a)');
      const failures = [
        thrown(port, () => {
          port.query('INSERT INTO t VALUES (0)');
          throw new Error('outer');
        }),
        thrown(port, () => {
          port.query('INSERT INTO t VALUES (1)');
          thrown(port, () => {
            port.query('INSERT INTO t VALUES (2)');
            port.query('INSERT INTO nope VALUES (2)');
          });
          port.query('INSERT INTO t VALUES (3)');
        }),
      ];
      return [failures, port.query('SELECT a FROM t').rows];
    },
    gives: [
      [true, false],
      [[1], [3]],
    ],
  },
  {
    name: 'has recursive triggers and foreign keys on',
    run: (port) => [port.query('PRAGMA recursive_triggers').rows, port.query('PRAGMA foreign_keys').rows],
    gives: [[[1]], [[1]]],
  },
];

const exact: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 3n }),
  fc.double({ noNaN: true }),
  fc.constantFrom(
    -0,
    0,
    1,
    2 ** 53,
    2 ** 63,
    -(2 ** 63),
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    5e-324,
  ),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom('', 'a\0b', '\ufffd', '\ufeff', '\u{10ffff}'),
  fc.uint8Array({ maxLength: 8 }),
  fc
    .constantFrom([0xff], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0x61, 0, 0xf0])
    .map((bytes) => new RawText(Uint8Array.from(bytes))),
);

/** Any row bound by `bindExact` into columns without affinity is read back by `selectExact` as it was. */
export function checkExact(port: SqlitePort, runs: number): void {
  const names = Array.from({ length: 97 }, (_, i) => `v${i}`);
  port.query(`CREATE TABLE exact(id INTEGER PRIMARY KEY, ${names.join(', ')})`);
  fc.assert(
    fc.property(
      fc.array(fc.array(exact, { minLength: 1, maxLength: 97 }), { minLength: 1, maxLength: 3 }),
      (rows) => {
        port.query('DELETE FROM exact');
        for (const row of rows) {
          const bound = row.map(bindExact);
          const columns = names.slice(0, row.length);
          port.query(
            `INSERT INTO exact(${columns.join(', ')}) VALUES (${bound.map(({ sql }) => sql).join(', ')})`,
            ...bound.map(({ binding }) => binding),
          );
        }
        const read = selectExact(port, ['id', ...names], 'FROM exact ORDER BY id');
        rows.forEach((row, i) => {
          const whole = [BigInt(i + 1), ...names.map((_, j) => row[j] ?? null)];
          assert(sameValues(read[i] ?? [], whole), () => `read ${String(read[i])} for ${String(whole)}`);
        });
      },
    ),
    { numRuns: runs },
  );
}
