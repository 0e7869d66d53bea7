import fc from 'fast-check';

/** SQL literals of every storage class, ordinary and extreme. */

const integers = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 4 }).map(String) },
  fc.constantFrom(
    '(-9223372036854775807-1)',
    '9223372036854775807',
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '-1',
    '281474976710656',
  ),
  fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n }).map(String),
);

const reals = fc.oneof(
  fc.constantFrom(
    '1.0',
    '2.0',
    '0.0',
    '-0.0',
    '9e999',
    '-9e999',
    '5e-324',
    '2.2250738585072009e-308',
    '1.7976931348623157e308',
    '9007199254740993.0',
    '9223372036854775808.0',
    '-9223372036854775808.0',
    '0.1',
    '1e300',
  ),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((real) => (Number.isInteger(real) && !String(real).includes('e') ? `${real}.0` : String(real))),
);

const texts = fc.oneof(
  fc.constantFrom(
    "''",
    "'a'",
    "'A'",
    "'1'",
    "'1.0'",
    "'1e3'",
    "'a '",
    "'\u{1f600}'",
    "'\ufffd'",
    "'\ufeffx'",
  ),
  fc.constantFrom("CAST(x'610062' AS TEXT)", "CAST(x'00' AS TEXT)", "CAST(x'ff' AS TEXT)"),
  fc.constantFrom("CAST(x'eda080' AS TEXT)", "CAST(x'c080' AS TEXT)", "CAST(x'f09f98' AS TEXT)"),
  fc.string({ unit: 'grapheme', maxLength: 6 }).map(literal),
);

const blobs = fc
  .uint8Array({ maxLength: 5 })
  .map((bytes) => `x'${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}'`);

export const arbitraryLiteral: fc.Arbitrary<string> = fc.oneof(
  { weight: 1, arbitrary: fc.constant('NULL') },
  { weight: 5, arbitrary: integers },
  { weight: 2, arbitrary: reals },
  { weight: 2, arbitrary: texts },
  { weight: 1, arbitrary: blobs },
);

/** A text literal without NUL and quotes in the source. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll('\0', '')}'`;
}
