import { expect, test } from 'vitest';
import { bytes, duration, plural } from '../../src/cli/terminal/figures.ts';
import { highlightSql } from '../../src/cli/terminal/highlight.ts';

const same = (text: string): string => text;
const style = {
  bold: same,
  red: same,
  yellow: same,
  blue: same,
  dim: (text: string) => `<c>${text}</c>`,
  green: (text: string) => `<s>${text}</s>`,
  cyan: (text: string) => `<k>${text}</k>`,
  magenta: (text: string) => `<n>${text}</n>`,
};

test('keywords, strings, numbers and comments are coloured, and the text stays the same', () => {
  const sql = "select 'it''s FROM' AS x1, 4.5e3 -- FROM\nFROM t";
  const shown = highlightSql(sql, style);
  expect(shown).toBe(
    "<k>select</k> <s>'it''s FROM'</s> <k>AS</k> x1, <n>4.5e3</n> <c>-- FROM</c>\n<k>FROM</k> t",
  );
  expect(shown.replace(/<\/?[cskn]>/g, '')).toBe(sql);
});

test('figures for people', () => {
  expect([bytes(0), bytes(999), bytes(1_000), bytes(16_300_000), bytes(999_600)]).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '16.3 MB',
    '1.0 MB',
  ]);
  expect([duration(0.84), duration(12.4), duration(3_210), duration(125_000)]).toEqual([
    '0.8 ms',
    '12 ms',
    '3.2 s',
    '2 min 5 s',
  ]);
  expect([plural(1, 'row'), plural(171_075, 'row')]).toEqual(['1 row', '171,075 rows']);
});
