import { expect, test } from 'vitest';
import { keywordKind, tokenName } from '../../../src/core/sql/keyword.ts';
import { tokenize } from '../../../src/core/sql/lexer.ts';
import * as T from '../../../src/core/sql/token.ts';

const kinds = Object.entries(T).filter(([name]) => !/^(FIRST|LAST)_|^COUNT$/.test(name));

test('tokens: kinds are dense and each keyword is its own', () => {
  expect(kinds.map(([, kind]) => kind).sort((a, b) => a - b)).toEqual(kinds.map((_entry, index) => index));
  const keywords = kinds.filter(([, kind]) => kind >= T.FIRST_KEYWORD);
  expect(keywords).toHaveLength(147);
  for (const [name, kind] of keywords) {
    expect(keywordKind(name, false), name).toBe(kind);
    expect(keywordKind(name.toLowerCase(), false), name).toBe(kind);
    expect(keywordKind(name.slice(0, 1) + name.slice(1).toLowerCase(), true), name).toBe(kind);
    expect(tokenName(kind)).toBe(name);
  }
});

test('tokens: signs are what they look like', () => {
  for (let kind = T.SEMICOLON; kind <= T.ARROW_TEXT; kind++) {
    expect(tokenize(JSON.parse(tokenName(kind))).kinds).toEqual([kind, T.EOF]);
  }
});

test('tokens: a text of any size is read in linear time', () => {
  const texts = ['1,', "'a'", '"a" ', '-- a\n', '/* a */', '[a]', ':a ', 'a ', '1_0 ', "x'00'", '1.5e3 '];
  for (const text of texts) {
    const started = performance.now();
    tokenize(text.repeat(200_000));
    expect(performance.now() - started, text).toBeLessThan(3000);
  }
});
