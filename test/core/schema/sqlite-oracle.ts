import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { RawText, type SqlValue } from '../../../src/base/sql-value.ts';
import type { KeyColumn } from '../../../src/core/schema/partition-key.ts';
import type { Affinity, Collation } from '../../../src/core/schema/table.ts';

const affinities: Affinity[] = ['INTEGER', 'REAL', 'TEXT', 'BLOB', 'NUMERIC'];
const collations: Collation[] = ['BINARY', 'NOCASE', 'RTRIM'];

export const keyColumns: KeyColumn[] = affinities.flatMap((affinity) =>
  collations.map((collation) => ({ affinity, collation })),
);

/** Stores pairs of values in a real column and asks SQLite what it made of them. */
export class SqliteOracle {
  private readonly database = new DatabaseSync(':memory:');
  private readonly insert;
  private readonly equal;

  constructor(column: KeyColumn) {
    const type = column.affinity === 'BLOB' ? '' : column.affinity;
    this.database.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, k ${type} COLLATE ${column.collation})`);
    this.insert = this.database.prepare(
      `INSERT OR REPLACE INTO t VALUES (?1, CASE WHEN ?3 THEN CAST(?2 AS TEXT) ELSE ?2 END)
       RETURNING k, typeof(k) AS type, CAST(k AS BLOB) AS bytes`,
    );
    this.insert.setReadBigInts(true);
    this.equal = this.database.prepare(
      'SELECT a.k IS b.k AS equal FROM t a, t b WHERE a.id = 1 AND b.id = 2',
    );
  }

  /** The value as it is stored; text that is no string comes back as RawText. */
  store(id: number, value: SqlValue): SqlValue {
    const raw = value instanceof RawText;
    const row = this.insert.get(id, raw ? value.bytes : value, raw ? 1 : 0) as {
      k: SqlValue;
      type: string;
      bytes: Uint8Array;
    };
    return row.type === 'text' && !isUtf8(row.bytes) ? new RawText(row.bytes) : row.k;
  }

  /** Whether SQLite calls the two stored values equal; NULL equals NULL here. */
  equals(): boolean {
    return (this.equal.get() as { equal: number }).equal === 1;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{0,${max}}$`));
const space = fc.constantFrom('', '', '', ' ', '\t', '\n', '\v', '\f', '\r ', '\u00a0', '\0', '\0x', '  ');

/** Texts that look like numbers, or nearly. */
export const numericText = fc
  .tuple(
    space,
    fc.constantFrom('', '-', '+', '--'),
    digits(22),
    fc.constantFrom('', '', '.'),
    digits(22),
    fc.constantFrom('', '', 'e', 'E0', 'e1', 'e-3', 'e+18', 'e308', 'e-330', 'e99999', 'x'),
    space,
  )
  .map((parts) => parts.join(''));

export const anyReal = fc.oneof(
  fc.double({ noNaN: true }),
  fc.maxSafeInteger().map(Number),
  fc.integer({ min: -20, max: 20 }),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(Number),
  fc
    .tuple(fc.integer({ min: -99999, max: 99999 }), fc.integer({ min: -30, max: 30 }))
    .map(([m, e]) => m * 10 ** e),
);

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer({ min: -20, max: 20 }).map(BigInt),
  fc.bigInt({ min: 2n ** 53n - 4n, max: 2n ** 53n + 4n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n - 1024n, 2n ** 63n - 512n),
);

const word = fc.stringMatching(/^[aAbB\0 éÉ😀\ud800]{0,5}$/u);

export const anyValue: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  int64,
  anyReal,
  numericText,
  word,
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Uint8Array.from(bytes)),
  fc.constantFrom('5', '\x005').map((text) => new TextEncoder().encode(text)),
  fc
    .constantFrom([0x35, 0, 0xff], [0xff], [0x41, 0xff], [0x61, 0xff], [0xff, 0x20])
    .map((bytes) => new RawText(Uint8Array.from(bytes))),
);

/** Values near to each other, so that equality under some affinity or collation is frequent. */
export const similarPair: fc.Arbitrary<[SqlValue, SqlValue]> = fc.oneof(
  fc.tuple(anyValue, anyValue),
  fc.tuple(word, word),
  fc
    .tuple(
      anyReal,
      fc.constantFrom(
        String,
        (real: number) => real.toFixed(2),
        (real: number) => ` ${real}e0 `,
      ),
    )
    .map(([real, print]): [SqlValue, SqlValue] => [real, print(real)]),
  fc
    .tuple(
      int64,
      fc.constantFrom<(value: bigint) => SqlValue>(String, Number, (value) => `${value}.0`),
    )
    .map(([value, change]): [SqlValue, SqlValue] => [value, change(value)]),
  word.map((text): [SqlValue, SqlValue] => [text, text.toUpperCase()]),
  word.map((text): [SqlValue, SqlValue] => [text, `${text}  `]),
);
