import fc from 'fast-check';
import { quoteName } from '../../../src/core/sqlite/quote.ts';
import { KEY, referringColumns, type Shape } from './arbitrary-schema.ts';
import { viewName } from './arbitrary-trigger.ts';
import { arbitraryLiteral } from './arbitrary-value.ts';

/** What a statement is made of; `table` and `other` are indexes of shapes. */
const parts = fc.record({
  or: fc.constantFrom('', '', 'OR REPLACE', 'OR REPLACE', 'OR IGNORE', 'OR FAIL'),
  keys: fc.array(fc.oneof({ weight: 5, arbitrary: small() }, arbitraryLiteral), {
    minLength: 3,
    maxLength: 3,
  }),
  values: fc.array(arbitraryLiteral, { minLength: 9, maxLength: 9 }),
  parents: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: small() },
      { weight: 2, arbitrary: fc.constant('NULL') },
      fc.constantFrom("'1g'", "'2g'"),
    ),
    {
      minLength: 12,
      maxLength: 12,
    },
  ),
  rows: fc.integer({ min: 1, max: 3 }),
  where: fc.constantFrom('= %', '= %', '< %', 'IS NOT %', 'IS NOT NULL'),
  tail: fc.constantFrom('', '', ` RETURNING ${KEY}`),
});
type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;

function small(): fc.Arbitrary<string> {
  return fc.integer({ min: 0, max: 5 }).map(String);
}

const VERBS = {
  insert: (own) => `INSERT ${own.parts.or} ${insertion(own)}${own.parts.tail}`,
  copy: ({ name, first, from, parts: { or } }) =>
    `INSERT ${or} INTO ${name}(${KEY}, ${first}) SELECT ${KEY}, ${KEY} + 1 FROM ${from} LIMIT 4`,
  upsert: (own) => `INSERT ${insertion(own)} ON CONFLICT DO UPDATE SET ${own.excluded}${own.parts.tail}`,
  upserts: (own) =>
    `INSERT ${insertion(own)} ON CONFLICT (${KEY}) DO UPDATE SET ${own.excluded} WHERE excluded.${KEY} <> 2 ` +
    `ON CONFLICT (g) DO NOTHING ON CONFLICT DO UPDATE SET ${KEY} = excluded.${KEY}`,
  update: ({ name, columns, condition, parts: { or, values, tail } }) =>
    `UPDATE ${or} ${name} SET ${columns.map((each, i) => `${each} = ${values[i]}`).join(', ')} WHERE ${condition}${tail}`,
  key: ({ name, condition, parts: { or, keys } }) =>
    `UPDATE ${or} ${name} SET ${KEY} = ${keys[1]} WHERE ${condition}`,
  second: ({ name, condition, parts: { or, parents } }) =>
    `UPDATE ${or} ${name} SET m = ${parents[1]} WHERE ${condition}`,
  swap: ({ name, first, condition, parts: { or } }) =>
    `UPDATE ${or} ${name} SET ${KEY} = ${KEY} + 1, ${first} = ${first} WHERE ${condition}`,
  parent: ({ name, referring, condition, parts: { or, parents } }) =>
    referring.length === 0
      ? 'SELECT 1'
      : `UPDATE ${or} ${name} SET ${referring.map((each, i) => `${each} = ${parents[i]}`).join(', ')} WHERE ${condition}`,
  both: ({ name, referring, condition, parts: { or, keys, parents } }) =>
    referring.length === 0
      ? 'SELECT 1'
      : `UPDATE ${or} ${name} SET ${KEY} = ${keys[2]}, ${referring[0]} = ${parents[0]} WHERE ${condition}`,
  from: ({ name, first, from, parts: { or } }) =>
    `UPDATE ${or} ${name} SET ${first} = o.${KEY} FROM ${from} AS o WHERE ${name}.${KEY} <= o.${KEY}`,
  delete: ({ name, condition, parts: { tail } }) => `DELETE FROM ${name} WHERE ${condition}${tail}`,
  // Node's SQLite has no LIMIT here; workerd's does.
  limited: ({ name, first, parts: { or, values, rows } }) =>
    `UPDATE ${or} ${name} SET ${first} = ${values[0]} ORDER BY ${KEY} DESC LIMIT ${rows}`,
  'delete-limited': ({ name, parts: { rows } }) =>
    `DELETE FROM ${name} ORDER BY ${KEY} LIMIT ${rows} OFFSET 1`,
  'view-insert': ({ view, parts: { keys, values } }) =>
    `INSERT INTO ${view} VALUES (${keys[0]}, ${values[0]})`,
  'view-update': ({ view, condition, parts: { keys } }) =>
    `UPDATE ${view} SET ${KEY} = ${keys[1]} WHERE ${condition}`,
  'view-delete': ({ view, condition }) => `DELETE FROM ${view} WHERE ${condition}`,
} satisfies Record<string, (own: Own) => string>;

const INSERTS = ['insert', 'insert', 'insert', 'insert', 'insert', 'insert'] as const;

interface Own {
  readonly parts: Parts;
  readonly name: string;
  readonly view: string;
  /** Another table. */
  readonly from: string;
  readonly columns: readonly string[];
  readonly first: string;
  readonly referring: readonly string[];
  readonly condition: string;
  /** Assignments of an upsert. */
  readonly excluded: string;
}

function insertion({ name, columns, referring, parts: { keys, values, parents, rows } }: Own): string {
  const tuple = (row: number) =>
    `(${[keys[row], ...columns.map((_, i) => values[row * 3 + i]), ...referring.map((_, i) => parents[row * 4 + i])].join(', ')})`;
  const tuples = [0, 1, 2].slice(0, rows).map(tuple);
  return `INTO ${name}(${[KEY, ...columns, ...referring].join(', ')}) VALUES ${tuples.join(', ')}`;
}

export function statement(shapes: readonly Shape[]): fc.Arbitrary<string> {
  const verbs = Object.keys(VERBS) as (keyof typeof VERBS)[];
  return fc
    .record({
      table: fc.nat({ max: shapes.length - 1 }),
      other: fc.nat({ max: shapes.length - 1 }),
      verb: fc.constantFrom<keyof typeof VERBS>(...verbs, ...verbs.slice(0, 12), ...INSERTS),
      parts,
    })
    .map(({ table, other, verb, parts }) => {
      const own = shapes[table];
      if (own === undefined) return 'SELECT 1';
      const columns = own.columns.map((each) => quoteName(each.name));
      const first = columns[0] ?? KEY;
      const referring = referringColumns(own);
      return VERBS[verb]({
        parts,
        name: quoteName(own.name),
        view: viewName(table),
        from: quoteName(shapes[other]?.name ?? ''),
        columns,
        first,
        referring,
        condition: `${KEY} ${parts.where.replace('%', parts.keys[0] ?? '1')}`,
        excluded: [first, ...referring].map((each) => `${each} = excluded.${each}`).join(', '),
      });
    });
}
