import { describe, expect, test } from 'vitest';
import { cut, fitWidths, renderTable, showValue } from '../../src/cli/terminal/table.ts';

const same = (text: string): string => text;
const style = {
  bold: same,
  dim: same,
  red: same,
  green: same,
  yellow: same,
  cyan: same,
  magenta: same,
  blue: same,
};

describe('tables', () => {
  test('never exceed the width, and take it from the widest column', () => {
    const table = renderTable(['id', 'text'], [[1n, 'x'.repeat(500)]], { width: 40, style });
    expect(Math.max(...table.split('\n').map((line) => line.length))).toBeLessThanOrEqual(40);
    expect(table).toContain(' 1 │ xxx');
    expect(table).toContain('…');
  });

  test('align by what a terminal shows: wide characters, emoji, accents', () => {
    const rows = [['東京'], ['🇫🇷'], ['é'], ['abcd']];
    const table = renderTable(
      ['a', 'b'],
      rows.map(([text = '']) => [text, 1n]),
      { width: 80, style },
    );
    expect(table.split('\n').slice(2)).toEqual([' 東京 │ 1', ' 🇫🇷   │ 1', ' é    │ 1', ' abcd │ 1']);
  });

  test('show what a value cannot do to the terminal', () => {
    expect(showValue('a\u001b[31m\nb\tc')).toBe('a␛[31m⏎b␉c');
  });

  test.each([
    [null, 'NULL'],
    [4, '4.0'],
    [1e21, '1.0e+21'],
    [-0, '-0.0'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
    [2n ** 63n - 1n, '9223372036854775807'],
    [new Uint8Array([1, 255]), "x'01ff'"],
  ])('%s is shown as %s', (value, text) => {
    expect(showValue(value)).toBe(text);
  });

  test('widths are lowered from the widest on, never below what can be read', () => {
    expect(fitWidths([3, 50, 20], 43)).toEqual([3, 20, 20]);
    expect(fitWidths([50, 50], 4)).toEqual([6, 6]);
    expect(cut('東京都', 5)).toBe('東京…');
  });
});
