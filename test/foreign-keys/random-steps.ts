import type { Random } from '../harness/random.ts';

const ACTIONS = ['NO ACTION', 'RESTRICT', 'CASCADE', 'SET NULL', 'SET DEFAULT'];
const IDS = ['a', 'b', 'c', 'd', 'e'];
const CODES = ['A', 'b', 'C', 'd', 'Zero'];

/** Parents by their partition key, by an index over partitions, by more than the partition key, and by their id. */
export function schemaOf(random: Random): string[] {
  const on = (noNull = false) => {
    const action = () => random.pick(noNull ? ACTIONS.slice(0, 3) : ACTIONS);
    return `ON DELETE ${action()} ON UPDATE ${action()}`;
  };
  const schemas: (() => string[])[] = [
    () => [
      'CREATE TABLE p (id TEXT PRIMARY KEY, n INTEGER) /*atoll PARTITION BY (id) */',
      `CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT DEFAULT 'a' REFERENCES p (id) ${on()}, n INTEGER) /*atoll PARTITION BY (id) */`,
      `CREATE TABLE g (id TEXT PRIMARY KEY, p TEXT DEFAULT 'b' REFERENCES c ${on()}, n INTEGER) /*atoll PARTITION BY (id) */`,
    ],
    () => [
      'CREATE TABLE p (id TEXT COLLATE NOCASE UNIQUE, k TEXT PRIMARY KEY, n INTEGER) /*atoll PARTITION BY (k) */',
      `CREATE TABLE c (id TEXT UNIQUE, k TEXT PRIMARY KEY, p TEXT COLLATE NOCASE DEFAULT zero REFERENCES p (id) ${on()}, n INTEGER) /*atoll PARTITION BY (k) */`,
      `CREATE TABLE g (id TEXT, k TEXT PRIMARY KEY, p TEXT NOT NULL REFERENCES c (id) ${on(true)}, n INTEGER) /*atoll PARTITION BY (k) */`,
    ],
    () => [
      // A tree.
      `CREATE TABLE p (id TEXT PRIMARY KEY, p TEXT REFERENCES p ${on()}, n INTEGER) /*atoll PARTITION BY (id) */`,
      `CREATE TABLE c (id TEXT, p TEXT REFERENCES p ${on(true)}, n INTEGER, PRIMARY KEY (id, p)) WITHOUT ROWID /*atoll PARTITION BY (id) */`,
      `CREATE TABLE g (id TEXT PRIMARY KEY, p TEXT, n INTEGER, FOREIGN KEY (p) REFERENCES p (id) ${on()}) /*atoll PARTITION BY (id) */`,
    ],
    () => [
      'CREATE TABLE p (id TEXT, n INTEGER, k TEXT DEFAULT x, PRIMARY KEY (n, id)) /*atoll PARTITION BY (n) */',
      // Rows move with their key.
      `CREATE TABLE c (id TEXT, n INTEGER, p TEXT, k TEXT DEFAULT x, PRIMARY KEY (id, n, k), FOREIGN KEY (p, n) REFERENCES p (id, n) ${on(true)})
         WITHOUT ROWID /*atoll PARTITION BY (p, id) */`,
      `CREATE TABLE g (id TEXT PRIMARY KEY, p TEXT, n INTEGER, FOREIGN KEY (n, p) REFERENCES p ${on()}) /*atoll PARTITION BY (id) */`,
    ],
  ];
  return random.pick(schemas)();
}

export interface Step {
  readonly sql: string;
  readonly args: readonly (string | number | null)[];
}

export interface Shape {
  readonly hasKey: boolean;
  readonly isTree: boolean;
}

export function shapeOf(schema: readonly string[]): Shape {
  return {
    hasKey: schema[0]?.includes('UNIQUE') === true,
    isTree: schema[0]?.includes('REFERENCES p') === true,
  };
}

/** A row of a tree never refers to itself, nor go all at once: SQLite then depends on the order of rows. */
export function stepOf(random: Random, { hasKey, isTree }: Shape): Step {
  const table = random.pick(['p', 'p', 'c', 'c', 'g']);
  const id = () => (hasKey ? random.pick(CODES) : random.pick(IDS));
  const n = () => random.below(2);
  const ref = () => (random.chance(0.15) ? null : random.chance(0.05) ? 'nobody' : id());
  const own = table === 'p' && isTree;
  const refers = table !== 'p' || isTree;
  const what = random.next();
  if (what < 0.5) {
    const verb = !hasKey && random.chance(0.3) ? 'REPLACE' : 'INSERT';
    const columns = ['id', 'n', ...(refers ? ['p'] : []), ...(hasKey ? ['k'] : [])];
    const [key, parent] = [id(), ref()];
    const refersTo = own && parent === key ? null : parent;
    const args = [key, n(), ...(refers ? [refersTo] : []), ...(hasKey ? [random.pick(IDS)] : [])];
    return {
      sql: `${verb} INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      args,
    };
  }
  const where = random.pick(hasKey ? ['id', 'k'] : ['id']);
  const which = where === 'k' ? random.pick(IDS) : id();
  if (what < 0.65) return { sql: `DELETE FROM ${table} WHERE ${where} = ?`, args: [which] };
  if (what < 0.68 && !own) return { sql: `DELETE FROM ${table}`, args: [] };
  if (what < 0.85) return { sql: `UPDATE ${table} SET id = ? WHERE ${where} = ?`, args: [id(), which] };
  if (refers && what < 0.95) {
    const parent = ref();
    const args = [own && parent === which ? null : parent, which];
    return { sql: `UPDATE ${table} SET p = ? WHERE ${where} = ?`, args };
  }
  return { sql: `UPDATE ${table} SET n = ? WHERE ${where} = ?`, args: [n(), which] };
}
