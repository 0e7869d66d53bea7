import { expect, test } from 'vitest';
import type { Node } from '../../../src/core/sql/ast.ts';
import { parseScript, parseStatement } from '../../../src/core/sql/parse.ts';
import { splice } from '../../../src/core/sql/splice.ts';
import { childrenOf, findAll, KINDS, walk } from '../../../src/core/sql/walk.ts';
import { grammarLines } from './fixture.ts';

/** Every node below, found by looking at all fields: the slow and obvious way. */
function reachable(value: unknown, found: Node[] = []): Node[] {
  if (Array.isArray(value)) for (const item of value) reachable(item, found);
  else if (typeof value === 'object' && value !== null) {
    if ('kind' in value) found.push(value as Node);
    for (const field of Object.values(value)) reachable(field, found);
  }
  return found;
}

const ATOLL = [
  'CREATE TABLE n(a) /*atoll APPEND ONLY PARTITION BY (a) */',

  'CREATE TABLE n(a) PARTITION BY (a) APPEND ONLY',
  'CREATE TABLE n(a) REFERENCE',
  "SELECT 1 AS OF '1'",
];
const statements = [...grammarLines().flatMap(({ sql, good }) => (good ? [sql] : [])), ...ATOLL]
  .flatMap((sql) => parseScript(sql))
  .map(({ statement }) => statement);

test('walk: reaches every node once', () => {
  for (const statement of statements) {
    const walked: Node[] = [];
    walk(statement, {
      enter: (node) => {
        walked.push(node);
        return undefined;
      },
    });
    expect(new Set(walked)).toEqual(new Set(reachable(statement)));
    expect(walked).toHaveLength(new Set(walked).size);
  }
});

test('walk: the corpus has every kind of node', () => {
  const kinds = new Set(statements.flatMap((statement) => reachable(statement)).map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual([...KINDS].sort());
});

test('spans: children lie inside their parents, in source order, and do not overlap', () => {
  for (const statement of statements) {
    walk(statement, {
      enter: (node) => {
        let at = node.start;
        for (const child of childrenOf(node)) {
          expect(child.start, node.kind).toBeGreaterThanOrEqual(at);
          expect(child.end, node.kind).toBeLessThanOrEqual(node.end);
          expect(child.end).toBeGreaterThanOrEqual(child.start);
          at = child.end;
        }
        return undefined;
      },
    });
  }
});

test('walk: skip leaves the children out, leave is called', () => {
  const log: string[] = [];
  walk(parseStatement('SELECT a, (SELECT b)').statement, {
    enter: (node, parent) => {
      log.push(`${parent?.kind}>${node.kind}`);
      return node.kind === 'subquery' ? 'skip' : undefined;
    },
    leave: (node) => {
      if (node.kind === 'subquery') log.push('left');
    },
  });
  expect(log.slice(-3)).toEqual(['select-core>result-expression', 'result-expression>subquery', 'left']);
  expect(findAll(parseStatement('SELECT a, (SELECT b)').statement, 'column')).toHaveLength(2);
});

test('splice: edits in any order, insertions before replacements', () => {
  expect(splice('abcdef', [])).toBe('abcdef');
  expect(
    splice('abcdef', [
      { start: 4, end: 6, text: 'X' },
      { start: 0, end: 1, text: '' },
      { start: 4, end: 4, text: '1' },
      { start: 4, end: 4, text: '2' },
    ]),
  ).toBe('bcd12X');
  expect(splice('ab', [{ start: 2, end: 2, text: '!' }])).toBe('ab!');
});

test('splice: overlaps are a defect', () => {
  const edits = [
    { start: 0, end: 3, text: '' },
    { start: 2, end: 4, text: '' },
  ];
  expect(() => splice('abcdef', edits)).toThrow(/overlaps/);
  expect(() => splice('ab', [{ start: 1, end: 3, text: '' }])).toThrow(/overlaps/);
});
