import { describe, expect, test } from 'vitest';
import { importsOf, sourcesOf } from './sources.ts';

/** Time, chance and the outside are inputs of core: one seed replays a whole cluster. */
const OUTSIDE =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bcrypto\.|\bsetTimeout\b|\bsetInterval\b|\bfetch\(|\basync\b|\bawait\b|\bPromise\b|\bperformance\./;

describe('core', () => {
  const sources = sourcesOf('src/core');

  test('takes time, chance and messages as inputs', () => {
    const found = sources.flatMap(({ path, text }) =>
      withoutComments(text)
        .split('\n')
        .filter((line) => OUTSIDE.test(line))
        .map((line) => `${path}: ${line.trim()}`),
    );
    expect(found).toEqual([]);
  });

  test('needs no package and no runtime', () => {
    const found = sources.flatMap((source) =>
      importsOf(source)
        .filter(({ specifier }) => !specifier.startsWith('.'))
        .map(({ specifier }) => `${source.path} -> ${specifier}`),
    );
    expect(found).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/[^\n]*/g, '');
}
