import type { Catalogue } from '../../src/core/schema/catalogue.ts';
import { tokenOfKey } from '../../src/core/schema/partition-key.ts';
import { keyColumns } from '../../src/core/schema/placement.ts';
import type { Column, Table } from '../../src/core/schema/table.ts';
import type { Random } from './random.ts';

/** A write of one table that belongs to one partition. */
export interface Write {
  readonly table: Table;
  readonly sql: string;
  /** Token of its partition key; null: any partition, which generates the key. */
  readonly token: number | null;
  /** The same for one plain SQLite, which is told the ids that were generated (`RETURNING`). */
  readonly model: (ids: readonly number[]) => string;
}

const TENANTS = ['a', 'b', 'c', 'd', 'e'];

/** A table of every kind. `n` is a number that has not been used for a name. */
const TABLES: readonly ((n: number) => string[])[] = [
  (n) => [
    `CREATE TABLE item${n} (id INTEGER PRIMARY KEY, tenant TEXT, v, n INTEGER CHECK (n < 90), UNIQUE (tenant, id)) PARTITION BY (tenant)`,
    `CREATE TABLE line${n} (tenant TEXT, item INTEGER, pos INTEGER, v, PRIMARY KEY (tenant, pos), FOREIGN KEY (tenant, item) REFERENCES item${n} (tenant, id) ON DELETE CASCADE ON UPDATE CASCADE)`,
  ],
  (n) => [`CREATE TABLE own${n} (id INTEGER PRIMARY KEY, v, n INTEGER)`],
  (n) => [`CREATE TABLE bare${n} (v, n INTEGER)`],
  (n) => [`CREATE TABLE kv${n} (k TEXT COLLATE NOCASE PRIMARY KEY, v, n REAL) WITHOUT ROWID`],
  (n) => [
    `CREATE TABLE log${n} (tenant TEXT, what TEXT, n INTEGER, PRIMARY KEY (tenant, what)) WITHOUT ROWID /*atoll PARTITION BY (tenant) */`,
    `CREATE TABLE act${n} (tenant TEXT, n INTEGER, v, PRIMARY KEY (tenant, n)) PARTITION BY (tenant)`,
    `CREATE TRIGGER act${n}_log AFTER INSERT ON act${n} WHEN NEW.n > 2 BEGIN INSERT INTO log${n} VALUES (NEW.tenant, 'n', NEW.n) ON CONFLICT DO UPDATE SET n = log${n}.n + 1; UPDATE act${n} SET v = 'seen' WHERE tenant = NEW.tenant AND n = NEW.n; END`,
  ],
  (n) => [`CREATE TABLE ref${n} (id INTEGER PRIMARY KEY, code TEXT UNIQUE, v) REFERENCE`],
  (n) => [`CREATE TABLE plainref${n} (code TEXT, n INTEGER) REFERENCE`],
];

/** Statements that change the schema: some are refused, some fail on some partition's rows only. */
export function randomDdl(random: Random, { tables, views, triggers }: Catalogue, n: number): string[] {
  if (tables.length < 3 || (tables.length < 9 && random.chance(0.3))) return random.pick(TABLES)(n);
  const table = random.pick(tables);
  const { name } = table;
  const column = random.pick(table.columns);
  const key = table.placement.kind === 'partitioned' ? table.placement.key.join(', ') : column.name;
  const free = table.columns.find((each) => /^(v|w\d+)$/.test(each.name));
  const choices: string[][] = [
    [`DROP TABLE ${name}`],
    [`ALTER TABLE ${name} ADD COLUMN a${n} INTEGER NOT NULL`],
    [`ALTER TABLE ${name} ADD COLUMN a${n} TEXT DEFAULT 'x${n}'`],
    [`ALTER TABLE ${name} ADD COLUMN g${n} AS (1) VIRTUAL`],
    [`ALTER TABLE ${name} RENAME TO ${name.replace(/\d*$/, '')}${n}`],
    [`ALTER TABLE ${name} RENAME COLUMN ${column.name} TO w${n}`],
    [
      `ALTER TABLE ${name} ADD COLUMN c${n} INTEGER NOT NULL DEFAULT 3 CHECK (c${n} > ${n % 2 === 0 ? 3 : 2})`,
    ],
    [`ALTER TABLE ${name} PARTITION BY (${column.name})`],
    [`ALTER TABLE ${name} REFERENCE`],
    [`CREATE UNIQUE INDEX i${n} ON ${name} (${key}, ${column.name})`],
    [`CREATE UNIQUE INDEX i${n} ON ${name} (${column.name})`],
    [`CREATE INDEX i${n} ON ${name} (${column.name} DESC) WHERE ${column.name} > 0`],
    [`CREATE VIEW v${n} AS SELECT * FROM ${name}`],
    [`CREATE TABLE IF NOT EXISTS ${name} (x)`],
    [
      `CREATE TABLE tmp${n} (x, y) PARTITION BY (x)`,
      `ALTER TABLE tmp${n} RENAME TO new${n}`,
      `ALTER TABLE new${n} RENAME COLUMN x TO z`,
    ],
    [`CREATE INDEX i${n} ON ${name} (${column.name})`, `CREATE INDEX i${n} ON ${name} (${column.name})`],
  ];
  if (free !== undefined) {
    choices.push([`ALTER TABLE ${name} DROP COLUMN ${free.name}`]);
    choices.push([
      `CREATE TRIGGER t${n} AFTER UPDATE ON ${name} BEGIN UPDATE ${name} SET ${free.name} = 'touched' WHERE ${table.rowidName ?? key} = NEW.${table.rowidName ?? key} AND ${free.name} IS NOT 'touched'; END`,
    ]);
  }
  for (const view of views) choices.push([`DROP VIEW ${view.name}`]);
  for (const trigger of triggers) choices.push([`DROP TRIGGER ${trigger.name}`]);
  for (const index of table.indexes)
    if (!index.name.startsWith('sqlite_')) choices.push([`DROP INDEX ${index.name}`]);
  return random.pick(choices);
}

export function randomWrite(random: Random, catalogue: Catalogue): Write {
  const table = random.pick(catalogue.tables);
  const values = new Map(table.columns.map((column) => [column.name, randomValue(random, table, column)]));
  const id = table.rowidColumn ?? table.rowidName;
  const keyIsId = table.placement.kind === 'partitioned' && table.placement.key.every((name) => name === id);
  const kind = random.below(10);
  if (kind < 6) return insert(random, table, values, id, keyIsId);
  const token = keyIsId ? null : tokenOf(table, values);
  const where = whereKey(random, table, values, id, keyIsId);
  const column = random.pick(table.columns.filter((each) => each.generated === 'no'));
  const isKey = table.placement.kind === 'partitioned' && table.placement.key.includes(column.name);
  const sql =
    kind < 8 && !isKey && column.name !== id
      ? `UPDATE ${random.pick(['', 'OR REPLACE ', 'OR IGNORE '])}${table.name} SET ${column.name} = ${values.get(column.name)} WHERE ${where}`
      : `DELETE FROM ${table.name} WHERE ${where}`;
  return { table, sql, token: keyIsId ? tokenOfId(table, where) : token, model: () => sql };
}

function insert(
  random: Random,
  table: Table,
  values: ReadonlyMap<string, string>,
  id: string | null,
  keyIsId: boolean,
): Write {
  const stored = table.columns.filter((column) => column.generated === 'no');
  const or = random.pick(['', '', 'OR REPLACE ', 'OR IGNORE ']);
  const all = stored.map((column) => values.get(column.name) ?? 'NULL');
  if (id === null) {
    const sql = `INSERT ${or}INTO ${table.name} VALUES (${all.join(', ')})`;
    return { table, sql, token: tokenOf(table, values), model: () => sql };
  }
  const others = stored.filter((column) => column.name !== id);
  const names = others.map((column) => column.name);
  const given =
    (keyIsId || table.placement.kind === 'reference') && random.chance(0.2)
      ? String(random.below(30) + 1)
      : null;
  const row = others.map((column) => values.get(column.name)).join(', ');
  const token = keyIsId ? (given === null ? null : tokenOfNumber(Number(given))) : tokenOf(table, values);
  if (given !== null) {
    const sql = `INSERT ${or}INTO ${table.name} (${[id, ...names].join(', ')}) VALUES (${[given, row].join(', ')})`;
    return { table, sql, token, model: () => sql };
  }
  const count = or === '' && random.chance(0.4) ? 3 : 1;
  const forms = [
    `(${names.join(', ')}) VALUES ${Array.from({ length: count }, () => `(${row})`).join(', ')}`,
    `(${[...names, id].join(', ')}) VALUES ${Array.from({ length: count }, () => `(${row}, NULL)`).join(', ')}`,
  ];
  if (!keyIsId)
    forms.push(
      `(${names.join(', ')}) SELECT ${row} FROM (VALUES ${Array.from({ length: count }, () => '(1)').join(', ')}) WHERE true`,
    );
  const sql = `INSERT ${or}INTO ${table.name} ${random.pick(forms)} RETURNING ${id}`;
  const model = (ids: readonly number[]) =>
    ids.length === 0
      ? 'SELECT 1'
      : `INSERT ${or}INTO ${table.name} (${[id, ...names].join(', ')}) VALUES ${ids.map((each) => `(${[each, row].join(', ')})`).join(', ')}`;
  return { table, sql, token, model };
}

function whereKey(
  random: Random,
  table: Table,
  values: ReadonlyMap<string, string>,
  id: string | null,
  keyIsId: boolean,
): string {
  if (keyIsId) return `${id} = ${random.below(30) + 1}`;
  if (table.placement.kind === 'reference') return `${random.pick(table.columns).name} = ${random.below(4)}`;
  return table.placement.key.map((name) => `${name} IS ${values.get(name)}`).join(' AND ');
}

function randomValue(random: Random, table: Table, column: Column): string {
  const isKey = table.placement.kind === 'partitioned' && table.placement.key.includes(column.name);
  if (isKey && column.affinity === 'TEXT') return `'${random.pick(TENANTS)}'`;
  const values =
    column.affinity === 'TEXT'
      ? ["'x'", "'y'", "''", `'${random.pick(TENANTS)}'`]
      : ['0', '1', '2', '3', `${random.below(100)}`, '9007199254740993'];
  if (!isKey) values.push('NULL', '-0.0', "x'00ff'", "CAST(x'fe' AS TEXT)", '1.5');
  return random.pick(values);
}

function tokenOf(table: Table, values: ReadonlyMap<string, string>): number | null {
  if (table.placement.kind === 'reference') return null;
  const key = table.placement.key.map((name) => literal(values.get(name) ?? 'NULL'));
  return tokenOfKey(key, keyColumns(table));
}

function tokenOfNumber(id: number): number {
  return tokenOfKey([BigInt(id)], [{ affinity: 'INTEGER', collation: 'BINARY' }]);
}

function tokenOfId(_table: Table, where: string): number {
  return tokenOfNumber(Number(where.split(' = ')[1]));
}

/** Of what {@link randomValue} gives keys. */
function literal(sql: string): bigint | string | null {
  if (sql === 'NULL') return null;
  return sql.startsWith("'") ? sql.slice(1, -1) : BigInt(sql);
}
