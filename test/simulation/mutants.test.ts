import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../tidy/sources.ts';
import { MUTANTS } from './mutants.ts';

test.each(MUTANTS)('the defect has its one place: $name', ({ file, find, replace }) => {
  const source = readFileSync(join(ROOT, file), 'utf8');
  expect(source.split(find).length - 1).toBe(1);
  expect(replace).not.toBe(find);
});
