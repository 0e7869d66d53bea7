import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AtollError } from '../../src/protocol/error.ts';
import { MAX_JSON_DEPTH, parseJson } from '../../src/protocol/json-text.ts';

function code(text: string): string {
  try {
    parseJson(text);
    return 'none';
  } catch (error) {
    if (error instanceof AtollError) return error.code;
    throw error;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What parseJson says of numbers, taken back. */
function blur(json: unknown): unknown {
  return JSON.parse(JSON.stringify(json).replace(/\{"\$(?:real|int)":"([^"]*)"\}/g, '$1'));
}

describe('parseJson', () => {
  it('reads what JSON.parse reads, numbers aside', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        expect(blur(parseJson(text))).toEqual(JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts what JSON.parse accepts, and nothing else', () => {
    const piece = fc.constantFrom(
      '1.5',
      '1',
      '01',
      '-',
      '1e5',
      '1.',
      '.5',
      '-1.5',
      '"',
      '\\',
      '"a"',
      ',',
      '[',
      ']',
      '{',
      '}',
      ':',
      ' ',
      't',
      'true',
      '12345678901234567',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        const text = pieces.join('');
        expect(code(text)).toBe(isJson(text) ? 'none' : 'payload');
      }),
      { numRuns: 20_000 },
    );
  });

  it('bounds the depth, also where JSON.parse would not', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    expect(code(nested(MAX_JSON_DEPTH))).toBe('none');
    expect(code(nested(MAX_JSON_DEPTH + 1))).toBe('too-deep');
    expect(code(nested(1_000_000))).toBe('too-deep');
    expect(code(`${'{"a":'.repeat(100_000)}1.5${'}'.repeat(100_000)}`)).toBe('too-deep');
  });

  it('keeps a __proto__ key harmless', () => {
    const parsed = parseJson('{"__proto__":{"admin":true},"a":1.5}') as Record<string, unknown>;
    expect(parsed.admin).toBeUndefined();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });

  it('reads long strings and many numbers without trouble', () => {
    const long = JSON.stringify(`1.5${'\\"'.repeat(1_000_000)}`);
    expect(parseJson(long)).toBe(JSON.parse(long));
    const many = JSON.stringify(Array.from({ length: 100_000 }, (_, i) => i / 8));
    expect((parseJson(many) as unknown[])[1]).toEqual({ $real: '0.125' });
  });

  it('reports errors in terms of the text that was sent', () => {
    expect(() => parseJson('[1.5, x]')).toThrow(/position 6|x/);
    expect(() => parseJson('[1.5, x]')).not.toThrow(/\$real/);
  });
});
