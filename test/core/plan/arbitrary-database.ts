import type { SqlValue } from '../../../src/base/sql-value.ts';
import type { Row, TableData } from './model-cluster.ts';

/** What generators draw from: `pick` one of a list, `below` an integer, `chance` in percent. */
export interface Dice {
  below(limit: number): number;
  pick<T>(list: readonly T[]): T;
  chance(percent: number): boolean;
}

/** A small generator (mulberry32), so that one seed gives one case. */
export function diceOf(seed: number): Dice {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (limit: number): number => next() % limit;
  return {
    below,
    pick: (list) => list[below(list.length)] as (typeof list)[number],
    chance: (percent) => below(100) < percent,
  };
}

const KEY_TYPES = [
  'TEXT',
  'TEXT COLLATE NOCASE',
  'TEXT COLLATE RTRIM',
  'INTEGER',
  'REAL',
  'NUMERIC',
  '',
  'BLOB',
];
const TEXT_TYPES = ['TEXT', 'TEXT COLLATE NOCASE', 'TEXT COLLATE RTRIM', 'VARCHAR(9)'];

const KEYS: readonly SqlValue[] = [
  1n,
  5n,
  '5',
  5,
  'a',
  'A',
  'a ',
  'b',
  null,
  2.5,
  -0,
  '',
  9007199254740993n,
  new Uint8Array([97]),
  '\u{1F600}',
];
const INTEGERS: readonly SqlValue[] = [0n, 1n, 2n, 3n, -1n, null, 7n, 100n, 'x', 2.5];
const TEXTS: readonly SqlValue[] = [
  'a',
  'A',
  'b',
  'B ',
  'b',
  '',
  null,
  '\uFF5E',
  '\u{1F600}',
  'a ',
  'ß',
  '5',
  'z\0q',
];
const ANYTHING: readonly SqlValue[] = [
  null,
  1n,
  1,
  1.5,
  '1',
  'a',
  'A',
  new Uint8Array([1]),
  new Uint8Array(),
  5n,
  '5',
  -3n,
  2,
  0n,
  -0,
  'b ',
];
const REALS: readonly SqlValue[] = [0.5, 1, -2.25, null, 3.75, 0.1, 1e6, 2n];
const WILD: readonly SqlValue[] = [
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  9223372036854775807n,
  -9223372036854775808n,
  1e20,
  -0,
  9007199254740993n,
];

export interface GeneratedDatabase {
  readonly script: string;
  readonly data: readonly TableData[];
  /** Key values that rows have, and some that none has. */
  readonly keys: readonly SqlValue[];
  /** Rough size of the numbers: REAL aggregates may differ by 1e-12 of it. */
  readonly scale: number;
}

/** Two colocated tables, one of another key type, a reference table, views. Every row has a unique `id`. */
export function generateDatabase(dice: Dice): GeneratedDatabase {
  const key = dice.pick(KEY_TYPES);
  const text = dice.pick(TEXT_TYPES);
  const wild = dice.chance(20);
  const script = `
    CREATE TABLE t (id INTEGER, k ${key}, a INTEGER, b ${text}, c, d REAL) PARTITION BY (k);
    CREATE TABLE u (id INTEGER, k ${key}, x INTEGER, y ${dice.pick(TEXT_TYPES)}) PARTITION BY (k);
    CREATE TABLE o (id INTEGER, w ${dice.pick(KEY_TYPES)}, a INTEGER) PARTITION BY (w);
    CREATE TABLE r (code ${text}, v INTEGER) REFERENCE;
    CREATE VIEW vt AS SELECT id, k AS kk, a, b FROM t WHERE a IS NOT NULL;
    CREATE VIEW vg AS SELECT k, count(*) AS n, max(a) AS m FROM t GROUP BY k;
  `;
  const all = dice.chance(50) ? KEYS : Array.from({ length: 4 }, () => dice.pick(KEYS));
  let scale = 0;
  const draw = (list: readonly SqlValue[]): SqlValue => {
    const value = wild && dice.chance(10) ? dice.pick(WILD) : dice.pick(list);
    if (typeof value === 'number' || typeof value === 'bigint') {
      const size = Math.abs(Number(value));
      if (Number.isFinite(size)) scale += size;
    }
    return value;
  };
  const rows = (count: number, make: (id: bigint) => Row): Row[] =>
    Array.from({ length: count }, (_, i) => make(BigInt(i + 1)));
  const few = dice.chance(15);
  const data: TableData[] = [
    {
      table: 't',
      rows: rows(few ? dice.below(2) : 5 + dice.below(25), (id) => [
        id,
        dice.pick(all),
        draw(INTEGERS),
        draw(TEXTS),
        draw(ANYTHING),
        draw(REALS),
      ]),
    },
    {
      table: 'u',
      rows: rows(dice.below(15), (id) => [id + 100n, dice.pick(all), draw(INTEGERS), draw(TEXTS)]),
    },
    { table: 'o', rows: rows(dice.below(8), (id) => [id + 200n, dice.pick(all), draw(INTEGERS)]) },
    { table: 'r', rows: rows(dice.below(5), () => [draw(TEXTS), draw(INTEGERS)]) },
  ];
  return { script, data, keys: KEYS, scale };
}
