import fc from 'fast-check';
import { quoteName } from '../../../src/core/sqlite/quote.ts';
import { arbitraryLiteral } from './arbitrary-value.ts';

/** A random schema and what happens to it, as SQL. */
export interface History {
  /** Names in the order of their ids, from 1. */
  readonly tables: readonly { readonly name: string; readonly sql: readonly string[] }[];
  readonly triggers: readonly { readonly table: number; readonly sql: string }[];
  /** Each commit's statements; any may fail. */
  readonly commits: readonly (readonly string[])[];
  /** How many commits to undo after each one, and to redo. */
  readonly undo: readonly number[];
}

const KEY_KINDS = ['hidden', 'alias', 'text', 'without', 'composite'] as const;
const ACTIONS = ['CASCADE', 'SET NULL', 'SET DEFAULT', 'NO ACTION', 'RESTRICT'] as const;
const TABLE_NAMES = ['t', 'order', 'a "b"', "it's"] as const;
const COLUMN_NAMES = [
  'v',
  'rowid',
  'seq',
  'image',
  'commit_id',
  'c0',
  'a "b"',
  'select',
  'new',
  'x y',
  'oid',
  'Ä',
] as const;

interface Column {
  readonly name: string;
  readonly type: string;
  readonly constraint: string;
}

interface Shape {
  readonly name: string;
  readonly kind: (typeof KEY_KINDS)[number];
  readonly columns: readonly Column[];
  readonly generated: 'no' | 'VIRTUAL' | 'STORED';
  readonly parent: number | null;
  readonly onDelete: string;
  readonly onUpdate: string;
}

const column = fc.record({
  type: fc.constantFrom('', 'INTEGER', 'REAL', 'TEXT', 'NUMERIC', 'BLOB'),
  constraint: fc.oneof(
    { weight: 4, arbitrary: fc.constant('') },
    fc.constantFrom('UNIQUE', 'COLLATE NOCASE UNIQUE', 'NOT NULL DEFAULT 7', "CHECK (typeof(%) <> 'blob')"),
  ),
});

const shape = (index: number): fc.Arbitrary<Shape> =>
  fc
    .record({
      kind: fc.constantFrom(...KEY_KINDS),
      columns: fc.array(column, { minLength: 1, maxLength: 3 }),
      names: fc.shuffledSubarray([...COLUMN_NAMES], { minLength: 3, maxLength: 3 }),
      generated: fc.constantFrom('no' as const, 'no' as const, 'VIRTUAL' as const, 'STORED' as const),
      parent: fc.option(fc.integer({ min: 0, max: index }), { freq: 3 }),
      onDelete: fc.constantFrom(...ACTIONS),
      onUpdate: fc.constantFrom(...ACTIONS),
    })
    .map(({ names, columns, ...rest }) => ({
      ...rest,
      name: TABLE_NAMES[index] ?? 't',
      columns: columns.map((each, i) => ({
        name: names[i] ?? 'v',
        type: each.type,
        constraint: each.constraint.replace('%', quoteName(names[i] ?? 'v')),
      })),
    }));

/** The column that others refer to. */
const KEY = 'k';

function createTable(shapes: readonly Shape[], table: Shape): string[] {
  const lines: string[] = [];
  if (table.kind === 'alias') lines.push(`${KEY} INTEGER PRIMARY KEY`);
  else if (table.kind === 'hidden') lines.push(`${KEY} UNIQUE`);
  else if (table.kind === 'text') lines.push(`${KEY} TEXT PRIMARY KEY`);
  else lines.push(`${KEY} ${table.kind === 'without' ? 'PRIMARY KEY' : 'UNIQUE'}`);
  for (const { name, type, constraint } of table.columns)
    lines.push(`${quoteName(name)} ${type} ${constraint}`);
  const first = quoteName(table.columns[0]?.name ?? KEY);
  if (table.generated !== 'no') lines.splice(1, 0, `g AS (coalesce(${KEY}, 0) || 'g') ${table.generated}`);
  const parent = table.parent === null ? undefined : shapes[table.parent];
  if (parent !== undefined) {
    lines.push('p DEFAULT 1');
    lines.push(
      `FOREIGN KEY (p) REFERENCES ${quoteName(parent.name)}(${KEY}) ON DELETE ${table.onDelete} ON UPDATE ${table.onUpdate}`,
    );
  }
  if (table.kind === 'composite')
    lines.splice(
      lines.findIndex((l) => l.startsWith('FOREIGN')) === -1 ? lines.length : lines.length - 1,
      0,
      `PRIMARY KEY (${parent === undefined ? '' : 'p, '}${first}, ${KEY})`,
    );
  const wr = table.kind === 'without' || table.kind === 'composite' ? ' WITHOUT ROWID' : '';
  const constraintsLast = [
    ...lines.filter((line) => !/^(PRIMARY|FOREIGN)/.test(line)),
    ...lines.filter((line) => /^(PRIMARY|FOREIGN)/.test(line)),
  ];
  return [`CREATE TABLE ${quoteName(table.name)}(${constraintsLast.join(', ')})${wr}`];
}

const AUDIT = 'audit';

function trigger(shapes: readonly Shape[], index: number): fc.Arbitrary<{ table: number; sql: string }> {
  return fc
    .record({
      table: fc.nat({ max: shapes.length - 1 }),
      other: fc.nat({ max: shapes.length - 1 }),
      time: fc.constantFrom('BEFORE', 'AFTER', 'AFTER'),
      event: fc.constantFrom('INSERT', 'UPDATE', 'DELETE'),
      body: fc.constantFrom('audit', 'same', 'touch', 'delete', 'ignore'),
      when: fc.boolean(),
    })
    .map(({ table, other, time, event, body, when }) => {
      const own = shapes[table];
      const target = shapes[other];
      const name = quoteName(own?.name ?? '');
      const value = quoteName(own?.columns[0]?.name ?? '');
      const row = event === 'DELETE' ? 'OLD' : 'NEW';
      const bodies: Record<string, string> = {
        audit: `INSERT INTO ${AUDIT}(what, v) VALUES ('${time} ${event}', ${row}.${value});`,
        same: `UPDATE ${name} SET ${value} = coalesce(${value}, 0) + 10 WHERE ${KEY} = ${row}.${KEY} AND (typeof(${value}) <> 'integer' OR ${value} < 30);`,
        touch: `UPDATE ${quoteName(target?.name ?? '')} SET ${quoteName(target?.columns[0]?.name ?? '')} = ${row}.${value} WHERE ${KEY} = 2;`,
        delete: `DELETE FROM ${quoteName(target?.name ?? '')} WHERE ${KEY} = 3;`,
        // Not on DELETE: SQLite then lets REPLACE leave two rows with one UNIQUE value, which nothing can copy.
        ignore: event === 'DELETE' ? 'SELECT 1;' : `SELECT raise(IGNORE) WHERE ${row}.${KEY} = 4;`,
      };
      const condition = when ? `WHEN ${row}.${KEY} IS NOT 1 OR ${row}.${value} IS NULL -- c\n` : '';
      return {
        table,
        sql: `CREATE TRIGGER "trigger ${index}" ${time} ${event} ON ${name} FOR EACH ROW ${condition}BEGIN ${bodies[body]} END`,
      };
    });
}

function statement(shapes: readonly Shape[]): fc.Arbitrary<string> {
  const small = fc.integer({ min: 0, max: 5 }).map(String);
  return fc
    .record({
      table: fc.nat({ max: shapes.length - 1 }),
      other: fc.nat({ max: shapes.length - 1 }),
      verb: fc.constantFrom(
        'insert',
        'insert',
        'insert',
        'upsert',
        'update',
        'key',
        'parent',
        'from',
        'delete',
        'swap',
      ),
      or: fc.constantFrom('', '', 'OR REPLACE', 'OR REPLACE', 'OR IGNORE', 'OR FAIL'),
      keys: fc.array(fc.oneof({ weight: 5, arbitrary: small }, arbitraryLiteral), {
        minLength: 3,
        maxLength: 3,
      }),
      values: fc.array(arbitraryLiteral, { minLength: 9, maxLength: 9 }),
      parents: fc.array(fc.oneof(small, fc.constant('NULL')), { minLength: 3, maxLength: 3 }),
      rows: fc.integer({ min: 1, max: 3 }),
      where: fc.constantFrom('= %', '= %', '< %', 'IS NOT %', 'IS NOT NULL'),
    })
    .map(({ table, other, verb, or, keys, values, parents, rows, where }) => {
      const own = shapes[table];
      if (own === undefined) return 'SELECT 1';
      const name = quoteName(own.name);
      const columns = own.columns.map((each) => quoteName(each.name));
      const first = columns[0] ?? KEY;
      const condition = `${KEY} ${where.replace('%', keys[0] ?? '1')}`;
      const names = [KEY, ...columns, ...(own.parent === null ? [] : ['p'])];
      const tuple = (row: number) =>
        `(${[keys[row], ...columns.map((_, i) => values[row * 3 + i]), ...(own.parent === null ? [] : [parents[row]])].join(', ')})`;
      const insert = `INTO ${name}(${names.join(', ')}) VALUES ${[0, 1, 2].slice(0, rows).map(tuple).join(', ')}`;
      const from = shapes[other];
      switch (verb) {
        case 'insert':
          return `INSERT ${or} ${insert}`;
        case 'upsert':
          return `INSERT ${insert} ON CONFLICT DO UPDATE SET ${first} = excluded.${first}${own.parent === null ? '' : ', p = excluded.p'}`;
        case 'update':
          return `UPDATE ${or} ${name} SET ${columns.map((each, i) => `${each} = ${values[i]}`).join(', ')} WHERE ${condition}`;
        case 'key':
          return `UPDATE ${or} ${name} SET ${KEY} = ${keys[1]} WHERE ${condition}`;
        case 'swap':
          return `UPDATE ${or} ${name} SET ${KEY} = ${KEY} + 1, ${first} = ${first} WHERE ${condition}`;
        case 'parent':
          return own.parent === null
            ? 'SELECT 1'
            : `UPDATE ${or} ${name} SET p = ${parents[0]} WHERE ${condition}`;
        case 'from':
          return `UPDATE ${or} ${name} SET ${first} = o.${KEY} FROM ${quoteName(from?.name ?? '')} AS o WHERE ${name}.${KEY} <= o.${KEY}`;
        default:
          return `DELETE FROM ${name} WHERE ${condition}`;
      }
    });
}

export const arbitraryHistory: fc.Arbitrary<History> = fc
  .integer({ min: 1, max: 4 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => shape(index))))
  .chain((shapes) =>
    fc.record({
      shapes: fc.constant(shapes),
      triggers: fc
        .integer({ min: 0, max: 3 })
        .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => trigger(shapes, index)))),
      commits: fc.array(fc.array(statement(shapes), { minLength: 1, maxLength: 4 }), {
        minLength: 4,
        maxLength: 14,
      }),
      undo: fc.array(fc.constantFrom(0, 0, 1, 3), { minLength: 14, maxLength: 14 }),
    }),
  )
  .map(({ shapes, triggers, commits, undo }) => ({
    tables: [
      ...shapes.map((each) => ({ name: each.name, sql: createTable(shapes, each) })),
      { name: AUDIT, sql: [`CREATE TABLE ${AUDIT}(what, v)`] },
    ],
    triggers,
    commits,
    undo,
  }));
