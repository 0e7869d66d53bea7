import type { SqlValue } from '../../../src/base/sql-value.ts';
import type { Dice } from './arbitrary-database.ts';
import { SelectGenerator } from './select-generator.ts';

export interface GeneratedSelect {
  readonly sql: string;
  readonly args: readonly SqlValue[];
  readonly shape: string;
  /** ORDER BY names a unique column or every output, so that the order of rows is certain. */
  readonly ordered: boolean;
  /** Which of several equal values stands for a group is open: compare by class only. */
  readonly loose: boolean;
}

type Shape = (g: SelectGenerator, dice: Dice) => Omit<GeneratedSelect, 'args' | 'shape'>;

const PLAIN = { ordered: false, loose: false } as const;
const ORDERED = { ordered: true, loose: false } as const;
const LOOSE = { ordered: false, loose: true } as const;

const SHAPES: Readonly<Record<string, Shape>> = {
  filter: (g, dice) => ({
    sql: `SELECT ${dice
      .pick([
        '*',
        'id, a + 1, b',
        't.*, upper(b)',
        `id, ${g.value('p')}, k`,
        'a AS x, id, x',
        'rowid > 0, id, d',
        'a, a, b',
      ])
      .replace('id, x', 'id')} FROM t${g.where('')}`,
    ...PLAIN,
  }),
  ordered: (g, dice) => {
    const where = g.where('');
    const terms = dice.pick(['b', 'c', 'a', 'k', 'a + 1', 'lower(b)', '2', 'n', 'd', 'abs(a)', 'n || b']);
    const direction = g.direction();
    return {
      sql: `SELECT id, a AS n, b FROM t${where} ORDER BY ${terms}${direction}, id${g.limit()}`,
      ...ORDERED,
    };
  },
  starOrdered: (g, dice) => ({
    sql: `SELECT * FROM t${g.where('')} ORDER BY ${dice.pick(['c', 'b', '4', 'k'])}${dice.pick(['', ' DESC'])}, id${g.limit()}`,
    ...ORDERED,
  }),
  join: (g, dice) => {
    const join = dice.pick([
      't JOIN u ON t.k = u.k',
      't JOIN u USING (k)',
      't LEFT JOIN u ON t.k = u.k AND u.x > 0',
      't LEFT JOIN u ON u.k = t.k',
      't RIGHT JOIN u ON t.k = u.k',
      't, u WHERE t.k = u.k',
      't NATURAL JOIN (SELECT k, x FROM u)',
      't LEFT JOIN u USING (k)',
      't FULL JOIN u ON t.k = u.k',
      't JOIN u ON t.a = u.x',
      't JOIN u ON t.k = u.k COLLATE NOCASE',
      't JOIN o ON o.w = t.k JOIN u ON u.k = t.k',
      't JOIN u ON t.k IS u.k',
      't CROSS JOIN u',
      't LEFT JOIN u ON t.k = u.k LEFT JOIN t AS s ON s.k = u.k',
      `t LEFT JOIN u ON u.k = t.k AND ${g.pin(dice.pick(['t.k', 'u.k']))}`,
      `t LEFT JOIN u ON ${g.pin('u.k')} AND u.k = t.k`,
      `t JOIN u ON u.k = t.k AND ${g.pin(dice.pick(['t.k', 'u.k']))}`,
      `t RIGHT JOIN u ON u.k = t.k AND ${g.pin('t.k')}`,
      't JOIN o ON o.w = t.k',
      't LEFT JOIN u ON t.k = u.k JOIN t AS s ON s.k = u.k',
    ]);
    const where = dice.chance(50)
      ? ` ${join.includes('WHERE') ? 'AND' : 'WHERE'} (${g.pin(dice.pick(['t.k', 't.k', join.includes('(SELECT') ? 't.k' : 'u.k']))})`
      : '';
    return {
      sql: `SELECT t.id, t.b, ${join.endsWith('o.w = t.k') ? 'o.id' : dice.pick(['x', 't.a', '1'])} FROM ${join}${where}`,
      ...PLAIN,
    };
  },
  reference: (g, dice) => ({
    sql: `SELECT ${dice.pick(['t.id, r.v', 'count(*), max(r.v)', 'r.code, t.id'])} FROM ${dice.pick([
      't JOIN r ON r.code = t.b',
      't LEFT JOIN r ON r.code = t.b',
      'r LEFT JOIN t ON r.code = t.b',
      'r JOIN t ON r.code = t.b',
      't RIGHT JOIN r ON r.code = t.b',
      't FULL JOIN r ON r.code = t.b',
      't, r',
      '(SELECT * FROM r WHERE v > 0) AS r JOIN t',
    ])}${dice.chance(30) ? ` WHERE ${g.pin('t.k')}` : ''}`,
    ...LOOSE,
  }),
  group: (g, dice) => {
    const by = dice.pick([
      'b',
      'a',
      'c',
      'a, b',
      'a % 3',
      'b COLLATE NOCASE',
      'length(b)',
      'coalesce(a, 0)',
      '1',
      'g',
    ]);
    const first =
      by === 'a, b'
        ? 'a'
        : by.startsWith('b COLLATE')
          ? 'b'
          : by === '1' || by === 'g'
            ? dice.pick(['b AS g', 'a % 2 AS g'])
            : by;
    const having = dice.chance(30)
      ? ` HAVING ${dice.pick(['count(*) > 1', `${g.aggregate()} IS NOT NULL`, 'sum(a) > 1', 'max(a) > min(a)'])}`
      : '';
    return {
      sql: `SELECT ${first}${first === 'b AS g' || first.includes(' AS ') || by === 'g' ? '' : ' AS g0'}, ${g.aggregate()}, ${g.aggregate()} FROM t${g.where('')} GROUP BY ${by}${having}`,
      ...LOOSE,
    };
  },
  groupOrdered: (g, dice) => ({
    sql: `SELECT a, ${g.aggregate()} AS s FROM t${g.where('')} GROUP BY a ORDER BY ${dice.pick(['count(*)', 's + 0', '2', 'max(a)', 'avg(a)'])}${dice.pick(['', ' DESC', ' DESC NULLS FIRST'])}, a${g.limit()}`,
    ordered: true,
    loose: true,
  }),
  groupKey: (g, dice) => ({
    sql: `SELECT k, ${g.aggregate()}, ${dice.pick(['group_concat(id)', 'count(DISTINCT a)', 'max(b)', 'a'])} IS NULL FROM t${g.where('')} GROUP BY ${dice.pick(['k', 'k, a', 'a, k', '1'])}${dice.pick(['', ' HAVING count(*) > 1'])}`,
    ...LOOSE,
  }),
  aggregate: (g) => ({
    sql: `SELECT ${g.aggregate()}, ${g.aggregate()}, ${g.aggregate()} FROM t${g.where('')}`,
    ...LOOSE,
  }),
  bare: (g, dice) => ({
    sql: dice.pick([
      `SELECT max(id), b, c FROM t${g.where('')}`,
      `SELECT a, min(id), b || '!', d FROM t${g.where('')} GROUP BY a`,
      `SELECT count(*), max(id), k FROM t${g.where('')}`,
      `SELECT max(id), b FROM t${g.where('')} HAVING max(id) > 3`,
    ]),
    ...LOOSE,
  }),
  aggregateJoin: (g, dice) => ({
    sql: `SELECT ${dice.pick(['count(*), sum(u.x)', 't.b, count(u.id)', 'u.k IS NULL, u.k, count(*)', 'max(t.a), avg(u.x)'])} FROM t ${dice.pick(['JOIN', 'LEFT JOIN'])} u ON u.k = t.k${dice.chance(30) ? ` WHERE ${g.pin('t.k')}` : ''}`
      .replace(/^(SELECT t\.b.*)$/, '$1 GROUP BY t.b')
      .replace(/^(SELECT u\.k.*)$/, '$1 GROUP BY u.k'),
    ...LOOSE,
  }),
  distinct: (g, dice) => ({
    sql: dice.pick([
      `SELECT DISTINCT b, a FROM t${g.where('')}`,
      `SELECT DISTINCT c FROM t${g.where('')}`,
      `SELECT DISTINCT k, b FROM t${g.where('')}`,
      `SELECT DISTINCT count(*) FROM t${g.where('')} GROUP BY b`,
      `SELECT DISTINCT b COLLATE NOCASE FROM t${g.where('')}`,
    ]),
    ...LOOSE,
  }),
  distinctOrdered: (g) => ({
    sql: `SELECT DISTINCT a FROM t${g.where('')} ORDER BY a${g.direction().replace(/ COLLATE \w+/, '')}${g.limit()}`,
    ordered: true,
    loose: true,
  }),
  union: (g, dice) => {
    const operator = dice.pick(['UNION ALL', 'UNION ALL', 'UNION', 'EXCEPT', 'INTERSECT']);
    const second = dice.pick([
      'SELECT x, y FROM u',
      'SELECT a, b FROM t',
      'SELECT v, code FROM r',
      'SELECT 1, 2',
      'SELECT count(*), 1 FROM u',
    ]);
    return {
      sql: `SELECT a, b FROM t${g.where('')} ${operator} ${second}${dice.pick(['', ' ORDER BY 1, 2', ' ORDER BY a DESC, b'])}`,
      ...LOOSE,
    };
  },
  subquery: (g, dice) => {
    const condition = dice.pick([
      'EXISTS (SELECT 1 FROM u WHERE u.k = t.k AND u.x > 1)',
      'NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k)',
      'a IN (SELECT x FROM u WHERE u.k = t.k)',
      'a NOT IN (SELECT x FROM u)',
      'a NOT IN (SELECT x FROM u WHERE u.k = t.k)',
      'a IN (SELECT v FROM r)',
      'b NOT IN (SELECT code FROM r)',
      'a > (SELECT avg(x) FROM u)',
      'a >= (SELECT max(x) FROM u WHERE u.k = t.k)',
      '(SELECT count(*) FROM r WHERE code = t.b) > 0',
      'EXISTS (SELECT 1 FROM u WHERE u.x = t.a)',
      'k IN (SELECT k FROM u)',
      'EXISTS (SELECT 1 FROM t AS s WHERE s.k = t.k AND s.id <> t.id)',
    ]);
    const item = dice.pick([
      'b',
      '(SELECT max(y) FROM u WHERE u.k = t.k)',
      '(SELECT count(*) FROM u)',
      '(SELECT sum(v) FROM r)',
      '(SELECT x FROM u WHERE u.k = t.k ORDER BY id LIMIT 1)',
    ]);
    const pin = dice.chance(30) ? ` AND ${g.pin('k')}` : '';
    return { sql: `SELECT id, ${item} FROM t WHERE ${condition}${pin}`, ...PLAIN };
  },
  derived: (g, dice) => ({
    sql: dice.pick([
      `SELECT * FROM (SELECT k, a, b FROM t) AS s${g.where('s.').replaceAll('s.c', 's.a').replaceAll('s.d', 's.a')}`,
      `SELECT * FROM vt${dice.chance(60) ? ` WHERE ${g.pin('kk')}` : ''}`,
      `SELECT * FROM vg${dice.chance(60) ? ` WHERE ${g.pin('k')}` : ''}`,
      `SELECT sum(n) FROM vg`,
      `SELECT vg.n, u.x FROM vg JOIN u ON u.k = vg.k${dice.chance(40) ? ` WHERE ${g.pin('u.k')}` : ''}`,
      `WITH w AS (SELECT k AS q, count(*) AS n FROM t GROUP BY k) SELECT * FROM w${dice.chance(50) ? ` WHERE ${g.pin('q')}` : ''}`,
      `WITH w AS (SELECT * FROM t WHERE ${g.pin('k')}) SELECT count(*), max(a) FROM w`,
      `WITH t AS (SELECT 1 AS k, 2 AS a) SELECT * FROM t WHERE ${g.pin('k')}`,
      `WITH w AS (SELECT k, a FROM t LIMIT 2) SELECT count(*) FROM w WHERE ${g.pin('k')}`,
      `SELECT n FROM (SELECT count(*) AS n FROM t)`,
      `SELECT * FROM (SELECT a, b FROM t UNION ALL SELECT x, y FROM u)`,
      `SELECT * FROM (SELECT k, a FROM t UNION ALL SELECT k, x FROM u) AS s${dice.chance(60) ? ` WHERE ${g.pin('s.k')}` : ''}`,
      `SELECT w.n FROM (SELECT k, max(a) AS n FROM t GROUP BY k) AS w JOIN u ON u.k = w.k`,
      `SELECT count(*) FROM (SELECT DISTINCT a FROM t)`,
      `SELECT count(*) FROM (SELECT DISTINCT k, a FROM t)`,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT id, i FROM t, n`,
      `WITH RECURSIVE n(i, k) AS (SELECT id, k FROM t WHERE ${g.pin('k')} UNION SELECT n.i + 1, t.k FROM n JOIN t ON t.k = n.k WHERE n.i < 5) SELECT * FROM n`,
    ]),
    ...LOOSE,
  }),
  window: (g, dice) => ({
    sql: `SELECT id, ${dice.pick(['row_number()', 'sum(id)', 'count(*)', 'lag(id)'])} OVER (${dice.pick(['PARTITION BY k ORDER BY id', 'PARTITION BY k, a ORDER BY id', 'PARTITION BY a ORDER BY id', 'ORDER BY id'])}) FROM t${g.where('')}`,
    ...PLAIN,
  }),
  volatile: (g, dice) => ({
    sql: `SELECT id, ${dice.pick(["date('now') IS NOT NULL", 'CURRENT_TIMESTAMP > 0', 'abs(random()) >= 0', "strftime('%Y') > '2000'", `typeof(datetime(${g.value('now')}))`, 'length(datetime())'])} FROM t${g.where('')}`,
    ...PLAIN,
  }),
  constant: (g) => ({ sql: `SELECT ${g.value(1n)} + 1, 'x', (SELECT count(*) FROM r)`, ...PLAIN }),
};

export const SHAPE_NAMES = Object.keys(SHAPES);

export function generateSelect(dice: Dice, keys: readonly SqlValue[]): GeneratedSelect {
  const shape = dice.pick(SHAPE_NAMES);
  const generator = new SelectGenerator(dice, keys);
  const select = (SHAPES[shape] as Shape)(generator, dice);
  const args: SqlValue[] = [];
  const places = new Map<string, number>();
  // Pieces that were made but not taken leave their arguments behind: number anew.
  const sql = select.sql.replace(/@@(\d+)@@/g, (_, made: string) => {
    const place = places.get(made) ?? args.push(generator.args[Number(made)] ?? null);
    places.set(made, place);
    return `?${place}`;
  });
  return { ...select, sql, args, shape };
}
