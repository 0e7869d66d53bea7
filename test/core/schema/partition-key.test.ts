import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RawText, type SqlValue } from '../../../src/base/sql-value.ts';
import { encodeKey, type KeyColumn, tokenOfKey } from '../../../src/core/schema/partition-key.ts';
import type { Affinity, Collation } from '../../../src/core/schema/table.ts';
import { anyValue, keyColumns, SqliteOracle, similarPair } from './sqlite-oracle.ts';

const INTEGER: KeyColumn = { affinity: 'INTEGER', collation: 'BINARY' };
const TEXT: KeyColumn = { affinity: 'TEXT', collation: 'BINARY' };
const BLOB: KeyColumn = { affinity: 'BLOB', collation: 'BINARY' };

const column = (affinity: Affinity, collation: Collation = 'BINARY'): KeyColumn => ({ affinity, collation });

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Stands also in docs/protocol.md, "Partition key and token": a change here is a change of format. */
const vectors: [key: SqlValue[], columns: KeyColumn[], bytes: string, token: number][] = [
  [[null], [column('INTEGER')], '00', 0x514e28b7],
  [[0n], [column('INTEGER')], '010000000000000000', 0xe3df7469],
  [[1n], [column('INTEGER')], '010000000000000001', 0x1dcc5f8d],
  [['5'], [column('INTEGER')], '010000000000000005', 0x70de5668],
  [[' 5.0 '], [column('NUMERIC')], '010000000000000005', 0x70de5668],
  [[-0], [column('REAL')], '010000000000000000', 0xe3df7469],
  [[-1n], [column('INTEGER')], '01ffffffffffffffff', 0x7415c8c7],
  [[2n ** 53n + 1n], [column('INTEGER')], '010020000000000001', 0x2ca6522e],
  [[2n ** 53n + 1n], [column('REAL')], '010020000000000000', 0x1b23837f],
  [[2n ** 63n - 1n], [column('INTEGER')], '017fffffffffffffff', 0xa4363a51],
  [[-(2n ** 63n)], [column('INTEGER')], '018000000000000000', 0x3784e305],
  [[2 ** 63], [column('NUMERIC')], '0243e0000000000000', 0xc4aa1dca],
  [[1.5], [column('REAL')], '023ff8000000000000', 0x4f7d2bb9],
  [[Infinity], [column('REAL')], '027ff0000000000000', 0x219982ba],
  [[''], [column('TEXT')], '0300000000', 0xf395bb28],
  [['acme'], [column('TEXT')], '030000000461636d65', 0x8807a910],
  [['ACME'], [column('TEXT', 'NOCASE')], '030000000461636d65', 0x8807a910],
  [['acme  '], [column('TEXT', 'RTRIM')], '030000000461636d65', 0x8807a910],
  [[5n], [column('TEXT')], '030000000135', 0xe0d78aa7],
  [[5], [column('TEXT')], '0300000003352e30', 0xac9c3e20],
  [[0.1], [column('TEXT')], '0300000003302e31', 0xf9bb4189],
  [['é😀'], [column('TEXT')], '0300000006c3a9f09f9880', 0xc6ac48ce],
  [['a\0B'], [column('TEXT', 'NOCASE')], '0300000003610000', 0xdca98b05],
  [[Uint8Array.of(0x61)], [column('BLOB')], '040000000161', 0xf232f4a2],
  [['abc'], [column('INTEGER')], '0300000003616263', 0xb478a1d6],
  [['acme', 7n], [column('TEXT'), column('INTEGER')], '030000000461636d65010000000000000007', 0xf24b9efe],
  [[null, null], [column('TEXT'), column('TEXT')], '0000', 0x30f4c306],
];

describe('tokenOfKey', () => {
  it.each(vectors)('keeps the documented vector %#', (key, columns, bytes, token) => {
    expect(hex(encodeKey(key, columns))).toBe(bytes);
    expect(tokenOfKey(key, columns)).toBe(token);
  });

  it.each(keyColumns)('agrees with SQLite on equality: $affinity $collation', (column) => {
    const sqlite = new SqliteOracle(column);
    let equalPairs = 0;
    fc.assert(
      fc.property(similarPair, ([a, b]) => {
        sqlite.store(1, a);
        sqlite.store(2, b);
        const encodedEqual = hex(encodeKey([a], [column])) === hex(encodeKey([b], [column]));
        expect(encodedEqual).toBe(sqlite.equals());
        if (encodedEqual) {
          equalPairs++;
          expect(tokenOfKey([a], [column])).toBe(tokenOfKey([b], [column]));
        }
      }),
      { numRuns: 1500 },
    );
    expect(equalPairs).toBeGreaterThan(100);
  });

  it.each(keyColumns)('is the same for the bound and the stored value: $affinity $collation', (column) => {
    const sqlite = new SqliteOracle(column);
    fc.assert(
      fc.property(anyValue, (value) => {
        const stored = sqlite.store(1, value);
        expect(hex(encodeKey([stored], [column]))).toBe(hex(encodeKey([value], [column])));
      }),
      { numRuns: 1500 },
    );
  });

  it('does not confuse where one column ends and the next begins', () => {
    const value = fc.oneof(fc.string({ maxLength: 3 }), fc.uint8Array({ maxLength: 3 }), fc.constant(null));
    fc.assert(
      fc.property(fc.tuple(value, value), fc.tuple(value, value), (a, b) => {
        const sameValues = a.every(
          (one, i) => hex(encodeKey([one], [BLOB])) === hex(encodeKey([b[i] as SqlValue], [BLOB])),
        );
        expect(hex(encodeKey(a, [BLOB, BLOB])) === hex(encodeKey(b, [BLOB, BLOB]))).toBe(sameValues);
      }),
    );
    expect(tokenOfKey(['ab', 'c'], [TEXT, TEXT])).not.toBe(tokenOfKey(['a', 'bc'], [TEXT, TEXT]));
  });

  it('takes keys larger than its buffer, also after smaller columns', () => {
    const large = 'é'.repeat(10_000);
    const encoded = encodeKey([7n, large], [INTEGER, TEXT]);
    expect(encoded.length).toBe(9 + 5 + 20_000);
    expect(hex(encoded.subarray(0, 14))).toBe('010000000000000007' + '0300004e20');
    expect(encodeKey([new RawText(new Uint8Array(50_000).fill(0xff))], [TEXT]).length).toBe(50_005);
  });

  it('spreads consecutive integers evenly', () => {
    const buckets = new Array<number>(16).fill(0);
    for (let id = 1n; id <= 16_000n; id++) {
      const bucket = Math.floor(tokenOfKey([id], [INTEGER]) / 2 ** 28);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
