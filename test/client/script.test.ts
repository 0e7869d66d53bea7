import { expect, test } from 'vitest';
import { scriptRequests } from '../../src/client/index.ts';

const requests = (text: string) => scriptRequests(text).map((statements) => statements.map(({ sql }) => sql));

test.each([
  ['SELECT 1; CREATE TABLE a (b); SELECT 2', [['SELECT 1'], ['CREATE TABLE a (b)'], ['SELECT 2']]],
  [
    'CREATE TABLE z (b); PRAGMA foreign_keys=OFF; CREATE TABLE a (b); INSERT INTO a SELECT b FROM c; PRAGMA foreign_keys = on; SELECT 2',
    [
      ['CREATE TABLE z (b)'],
      [
        'PRAGMA foreign_keys=OFF',
        'CREATE TABLE a (b)',
        'INSERT INTO a SELECT b FROM c',
        'PRAGMA foreign_keys = on',
      ],
      ['SELECT 2'],
    ],
  ],
  [
    // Prisma's order; what follows directly belongs to it.
    'PRAGMA defer_foreign_keys=ON; PRAGMA foreign_keys=OFF; DROP TABLE a; PRAGMA foreign_keys=ON; PRAGMA defer_foreign_keys=OFF; CREATE INDEX i ON a (b); PRAGMA foreign_keys=0; DROP TABLE c; PRAGMA foreign_keys=1; UPDATE a SET b = 1; DROP TABLE a',
    [
      [
        'PRAGMA defer_foreign_keys=ON',
        'PRAGMA foreign_keys=OFF',
        'DROP TABLE a',
        'PRAGMA foreign_keys=ON',
        'PRAGMA defer_foreign_keys=OFF',
        'CREATE INDEX i ON a (b)',
        'PRAGMA foreign_keys=0',
        'DROP TABLE c',
        'PRAGMA foreign_keys=1',
      ],
      ['UPDATE a SET b = 1'],
      ['DROP TABLE a'],
    ],
  ],
  [
    'PRAGMA foreign_keys=OFF; DROP TABLE a; DELETE FROM b',
    [['PRAGMA foreign_keys=OFF', 'DROP TABLE a', 'DELETE FROM b']],
  ],
  [
    'PRAGMA foreign_keys; PRAGMA foreign_keys=ON; DROP TABLE a',
    [['PRAGMA foreign_keys'], ['PRAGMA foreign_keys=ON'], ['DROP TABLE a']],
  ],
  ['', []],
])('%s: what rebuilds tables goes together', (text, expected) => expect(requests(text)).toEqual(expected));

test('lines are those of the script', () => {
  const script =
    'SELECT 1;\n\nPRAGMA foreign_keys=OFF;\n--> statement-breakpoint\nDROP TABLE a;\nPRAGMA foreign_keys=ON;';
  expect(scriptRequests(script).map((statements) => statements.map(({ line }) => line))).toEqual([
    [1],
    [3, 5, 6],
  ]);
});
