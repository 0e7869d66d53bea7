import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textToNumber } from '../../../src/core/schema/affinity.ts';
import { realToText } from '../../../src/core/schema/real-text.ts';
import { anyReal, numericText } from './sqlite-oracle.ts';

const database = new DatabaseSync(':memory:');
database.exec('CREATE TABLE t (n NUMERIC, x TEXT)');

/** A double from random bits: fc.double prefers simple ones. */
const bits = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((word) => new Float64Array(BigUint64Array.of(word).buffer)[0] as number);

describe('realToText', () => {
  const stored = database.prepare('INSERT INTO t (x) VALUES (?) RETURNING x');
  it('prints the digits that SQLite prints', () => {
    const real = fc.oneof(
      anyReal,
      bits.filter((value) => !Number.isNaN(value)),
    );
    fc.assert(
      fc.property(real, (value) => {
        expect(realToText(value)).toBe((stored.get(value) as { x: string }).x);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('textToNumber', () => {
  const stored = database.prepare('INSERT INTO t (n) VALUES (?) RETURNING n, typeof(n) AS type');
  stored.setReadBigInts(true);
  it('sees the numbers that SQLite sees, to the last bit', () => {
    const real = fc.oneof(
      numericText,
      bits.filter(Number.isFinite).map((value) => value.toPrecision(25)),
    );
    fc.assert(
      fc.property(real, (text) => {
        const row = stored.get(text) as { n: bigint | number | string; type: string };
        const expected = typeof row.n === 'string' ? null : row.n;
        const number = textToNumber(text);
        // SQLite keeps −2^63 written as a REAL; both are equal to it.
        if (number === -(2n ** 63n)) expect(BigInt(expected ?? 0)).toBe(number);
        else expect(number).toBe(expected);
      }),
      { numRuns: 20_000 },
    );
  });
});
