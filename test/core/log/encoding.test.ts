import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommitId, TableId } from '../../../src/base/brand.ts';
import { RawText, type SqlValue } from '../../../src/base/sql-value.ts';
import { DecodeError } from '../../../src/core/log/bytes.ts';
import type { Change, Commit } from '../../../src/core/log/commit.ts';
import {
  decodeChanges,
  decodeCommit,
  decodeValues,
  encodeChanges,
  encodeCommit,
  encodeValues,
  sameValues,
} from '../../../src/core/log/encoding.ts';
import { fingerprint } from '../../../src/core/log/fingerprint.ts';
import { inputAt } from './replay-property.ts';

const bytes = fc.uint8Array({ maxLength: 20 });
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -200n, max: 200n }),
  fc.constantFrom(2n ** 47n, -(2n ** 47n), 2n ** 47n - 1n, 1n - 2n ** 47n, 2n ** 53n + 1n, -64n, 63n, 64n),
  fc.double({ noNaN: true }),
  fc.constantFrom(-0, 0, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324),
  fc.string({ unit: 'binary', maxLength: 20 }),
  bytes,
  bytes.map((each) => new RawText(Uint8Array.of(0xff, ...each))),
);

const image = fc.array(value, { minLength: 1, maxLength: 5 });
const change: fc.Arbitrary<Change> = fc
  .record({
    type: fc.constantFrom('create' as const, 'delete' as const, 'update' as const),
    image,
    other: image,
  })
  .map(({ type, image: before, other: after }) => ({
    type,
    tableId: 3 as TableId,
    layout: 200,
    before: type === 'create' ? null : before,
    after: type === 'delete' ? null : after,
  }));

describe('values', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(fc.array(value), (values) => {
        const back = decodeValues(encodeValues(values));
        expect(sameValues(back, values)).toBe(true);
        expect(encodeValues(back)).toEqual(encodeValues(values));
      }),
    );
  });

  test('are equal exactly if their encodings are', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const equal = fingerprint(encodeValues([a])) === fingerprint(encodeValues([b]));
        expect(equal).toBe(sameValues([a], [b]));
      }),
    );
    expect(encodeValues([1n])).not.toEqual(encodeValues([1]));
    expect(encodeValues([0])).not.toEqual(encodeValues([-0]));
  });

  test('cut short are refused', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), fc.nat(), (values, at) => {
        const whole = encodeValues(values);
        expect(() => decodeValues(whole.subarray(0, at % whole.length))).toThrow(DecodeError);
      }),
    );
    expect(() => decodeValues(Uint8Array.of(1, 0, 0))).toThrow(DecodeError);
  });
});

test('changes and commits come back as they were', () => {
  fc.assert(
    fc.property(fc.array(change), fc.oneof(fc.string(), bytes, fc.constant(null)), (changes, payload) => {
      const commit: Commit = {
        header: { ...inputAt(7), commitId: 9 as CommitId, kind: 'prepare', transactionId: 'tx', payload },
        changes,
      };
      expect(decodeChanges(encodeChanges(changes))).toEqual(changes);
      expect(decodeCommit(encodeCommit(commit))).toEqual(commit);
    }),
  );
});

test('another version is refused', () => {
  const encoded = encodeChanges([]);
  encoded[0] = 2;
  expect(() => decodeChanges(encoded)).toThrow(/version 2/);
});

test('the format on the wire is pinned: a change of it needs a new version', () => {
  const commit: Commit = {
    header: { ...inputAt(1), commitId: 1 as CommitId },
    changes: [
      {
        type: 'update',
        tableId: 1 as TableId,
        layout: 1,
        before: [1n, -1.5, 'é', Uint8Array.of(1), null],
        after: [300n, 2n ** 60n, new RawText(Uint8Array.of(255)), '', 0],
      },
    ],
  };
  expect(fingerprint(encodeCommit(commit))).toMatchInlineSnapshot(`"b7ac5c00c69ab896b8554e81979a1ef0"`);
});

test('fingerprint is MurmurHash3_x86_128', () => {
  const ascii = (text: string) => Uint8Array.from(text, (unit) => unit.charCodeAt(0));
  // Vectors of github.com/karanlyons/murmurHash3.js, seed 0.
  expect(fingerprint(ascii(''))).toBe('00000000000000000000000000000000');
  expect(fingerprint(ascii('0'))).toBe('0ab2409ea5eb34f8a5eb34f8a5eb34f8');
  expect(fingerprint(ascii('I will not buy this record, it is scratched.'))).toBe(
    'a0a9683b25ac5e40d9af2895890dddf5',
  );
});
