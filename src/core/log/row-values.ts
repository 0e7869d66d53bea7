import { asciiLower } from '../../base/ascii.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Layout } from './layout.ts';

/** What a row has in named columns; NULL in what is not stored. */
export function valuesOf(
  { columns }: Layout,
  names: readonly string[],
  image: readonly SqlValue[],
): SqlValue[] {
  const lower = columns.map(asciiLower);
  return names.map((name) => image[lower.indexOf(asciiLower(name))] ?? null);
}
