import fc from 'fast-check';
import { quoteName } from '../../../src/core/sqlite/quote.ts';

/** Random tables that refer to each other and to themselves. */

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

/** The column that others refer to. */
export const KEY = 'k';
/** With it, {@link KEY} is what composite foreign keys refer to. */
const SECOND = 'm';
/** Generated from {@link KEY}, and UNIQUE: foreign keys may refer to it too. */
const GENERATED = 'g';

interface Column {
  readonly name: string;
  readonly type: string;
  readonly constraint: string;
}

interface Reference {
  readonly parent: number;
  /** Which columns refer to which: `own` is the row's own key. */
  readonly by: 'one' | 'two' | 'own' | 'generated';
  readonly required: boolean;
  readonly unique: boolean;
  readonly onDelete: string;
  readonly onUpdate: string;
}

export interface Shape {
  readonly name: string;
  readonly kind: (typeof KEY_KINDS)[number];
  readonly strict: boolean;
  readonly columns: readonly Column[];
  readonly generated: 'VIRTUAL' | 'STORED';
  readonly references: readonly Reference[];
}

const column = fc.record({
  type: fc.constantFrom('', 'INTEGER', 'REAL', 'TEXT', 'NUMERIC', 'BLOB'),
  constraint: fc.oneof(
    { weight: 4, arbitrary: fc.constant('') },
    fc.constantFrom(
      'UNIQUE',
      'UNIQUE ON CONFLICT REPLACE',
      'UNIQUE ON CONFLICT IGNORE',
      'COLLATE NOCASE UNIQUE',
      'NOT NULL DEFAULT 7',
      'NOT NULL ON CONFLICT REPLACE DEFAULT 7',
      "CHECK (typeof(%) <> 'blob')",
      // A rule that a replay cannot rely on.
      'CHECK (total_changes() & 3 <> 3)',
    ),
  ),
});

const reference = (count: number): fc.Arbitrary<Reference> =>
  fc.record({
    parent: fc.nat({ max: count - 1 }),
    by: fc.constantFrom('one', 'one', 'one', 'two', 'two', 'generated', 'own'),
    required: fc.constantFrom(false, false, true),
    unique: fc.constantFrom(false, false, true),
    onDelete: fc.constantFrom(...ACTIONS),
    onUpdate: fc.constantFrom(...ACTIONS),
  });

export const shape = (index: number, count: number): fc.Arbitrary<Shape> =>
  fc
    .record({
      kind: fc.constantFrom(...KEY_KINDS),
      strict: fc.constantFrom(false, false, true),
      columns: fc.array(column, { minLength: 1, maxLength: 3 }),
      names: fc.shuffledSubarray([...COLUMN_NAMES], { minLength: 3, maxLength: 3 }),
      generated: fc.constantFrom('VIRTUAL' as const, 'STORED' as const),
      references: fc.array(reference(count), { maxLength: 2 }),
    })
    .map(({ names, columns, strict, ...rest }) => ({
      ...rest,
      strict,
      name: TABLE_NAMES[index] ?? 't',
      columns: columns.map((each, i) => ({
        name: names[i] ?? 'v',
        type: strict && /^(|NUMERIC)$/.test(each.type) ? 'ANY' : each.type,
        constraint: each.constraint.replace('%', quoteName(names[i] ?? 'v')),
      })),
    }));

/** Columns that refer to other tables. */
export function referringColumns({ references }: Shape): string[] {
  return references.flatMap(({ by }, i) =>
    by === 'own' ? [] : by === 'two' ? [`p${i}`, `q${i}`] : [`p${i}`],
  );
}

export function createTable(shapes: readonly Shape[], table: Shape): string {
  const any = table.strict ? 'ANY' : '';
  const columns = [`${KEY} ${keyDefinition(table, any)}`, `${SECOND} ${any} DEFAULT 1`];
  const clauses = [`UNIQUE (${KEY}, ${SECOND})`];
  columns.push(`${GENERATED} ${any} AS (coalesce(${KEY}, 0) || 'g') ${table.generated} UNIQUE`);
  for (const { name, type, constraint } of table.columns)
    columns.push(`${quoteName(name)} ${type} ${constraint}`);
  table.references.forEach(({ parent, by, required, unique, onDelete, onUpdate }, i) => {
    const rules = `${required ? 'NOT NULL' : ''} ${unique ? 'UNIQUE' : ''} DEFAULT ${by === 'generated' ? `'1g'` : 1}`;
    const own = by === 'own' ? [KEY] : by === 'two' ? [`p${i}`, `q${i}`] : [`p${i}`];
    if (by !== 'own') columns.push(`p${i} ${any} ${rules}`);
    if (by === 'two') columns.push(`q${i} ${any} DEFAULT 1`);
    const target = { one: KEY, own: KEY, two: `${KEY}, ${SECOND}`, generated: GENERATED }[by];
    // A cluster refuses it: an id cannot be set to nothing.
    const isId = by === 'own' && /INTEGER PRIMARY KEY/.test(keyDefinition(table, any));
    const action = (wanted: string) => (isId && wanted.startsWith('SET') ? 'NO ACTION' : wanted);
    clauses.push(
      `FOREIGN KEY (${own.join(', ')}) REFERENCES ${quoteName(shapes[parent]?.name ?? '')}(${target}) ` +
        `ON DELETE ${action(onDelete)} ON UPDATE ${action(onUpdate)}`,
    );
  });
  if (table.kind === 'composite') {
    const referring = referringColumns(table)[0];
    const first = quoteName(table.columns[0]?.name ?? KEY);
    clauses.unshift(`PRIMARY KEY (${referring === undefined ? '' : `${referring}, `}${first}, ${KEY})`);
  }
  const options = [
    ...(table.kind === 'without' || table.kind === 'composite' ? ['WITHOUT ROWID'] : []),
    ...(table.strict ? ['STRICT'] : []),
  ];
  return `CREATE TABLE ${quoteName(table.name)}(${[...columns, ...clauses].join(', ')}) ${options.join(', ')}`;
}

function keyDefinition({ kind }: Shape, any: string): string {
  switch (kind) {
    case 'alias':
      return 'INTEGER PRIMARY KEY';
    case 'text':
      return 'TEXT PRIMARY KEY';
    case 'without':
      return `${any} PRIMARY KEY`;
    default:
      return `${any} UNIQUE`;
  }
}
