import { expect, test } from 'vitest';
import { SYSTEM_TABLES } from '../../../src/core/replica/system-tables.ts';
import { READABLE_SYSTEM_TABLES } from '../../../src/core/sql/analysis/system-tables.ts';

test('analysis knows the tables that the system partition has for anybody to read', () => {
  const readable = SYSTEM_TABLES.map(({ name }) => name).filter((name) => name.startsWith('atoll_'));
  expect([...READABLE_SYSTEM_TABLES].sort()).toEqual(readable.sort());
});
