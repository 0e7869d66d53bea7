import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, sourcesOf } from './sources.ts';

/** Lines of one file: beyond that it holds more than one concept. */
const LINES_MAX = 400;

describe('text', () => {
  const sources = [...sourcesOf('src'), ...sourcesOf('test'), ...sourcesOf('bench')];

  test('no file has grown past one concept', () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.split('\n').length }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(long).toEqual([]);
  });

  test('nothing is left for later, switched off or silenced', () => {
    const own = 'test/tidy/text.test.ts';
    const found = sources
      .filter(({ path }) => path !== own)
      .flatMap(({ path, text }) =>
        text
          .split('\n')
          .filter((line) =>
            /TODO|FIXME|XXX|@ts-ignore|@ts-expect-error|\.(skip|only|todo)\(|catch *(\(\w*\))? *\{ *\}/.test(
              line,
            ),
          )
          .map((line) => `${path}: ${line.trim()}`),
      );
    expect(found).toEqual([]);
  });

  test('no tracked file names a place outside the project', () => {
    const files = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' })
      .split('\n')
      .filter(Boolean);
    const found = files
      .filter((file) => !/\.(sqlite|png|gz|test)$/.test(file) && file !== 'test/tidy/text.test.ts')
      .filter((file) =>
        /(^|[^A-Za-z0-9_.-])\/(home|root|work|Users)\/[A-Za-z]|"resolved": *"https?:/.test(
          readFileSync(join(ROOT, file), 'utf8'),
        ),
      );
    expect(found).toEqual([]);
  });
});
