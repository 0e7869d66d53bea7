import type { Random } from '../../harness/random.ts';
import { checkForeign, type ForeignStep } from '../checkers/foreign.ts';
import type { Id } from '../checkers/history.ts';
import type { Operation, Statement } from '../client.ts';
import { rebuild } from './rebuild.ts';
import { SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

const TOWNS = ['a', 'b', 'c', 'd'];
/** Of the last ones: those that come, go and are referred to at the same time are the same. */
const RECENT = 3;

/**
 * Parents come and go, and children of theirs in other partitions. `by`: how it is known whether there is a parent, by its own
 * row, by an index over partitions, or by each partition's copy of a reference table.
 */
export function foreign(
  onDelete: 'cascade' | 'restrict',
  by: 'row' | 'index' | 'copy',
): Workload<ForeignStep> {
  let parents = 0;
  let children = 0;
  const isCopied = by === 'copy';
  const placement = isCopied ? 'REFERENCE' : `PARTITION BY (${by === 'row' ? 'parent' : 'town'})`;
  const action = onDelete === 'cascade' ? 'ON DELETE CASCADE' : '';
  return {
    name: `foreign keys (${onDelete}, by ${by})`,
    interactive: true,
    ...(isCopied && {
      decisive: ['freeze', 'thaw', 'feed', 'feed', 'prepare', 'prepare', 'transaction-ends'],
    }),
    setUp: [
      [{ sql: `CREATE TABLE parents (parent TEXT PRIMARY KEY, town TEXT) ${placement}` }],
      [
        {
          sql: `CREATE TABLE children (child TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents (parent) ${action}) PARTITION BY (child)`,
        },
      ],
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      rebuild('parents', 'parent TEXT PRIMARY KEY, town TEXT NOT NULL', 'parent, town'),
      rebuild(
        'children',
        `child TEXT PRIMARY KEY, more INTEGER DEFAULT 3, parent TEXT NOT NULL REFERENCES parents (parent) ${action}`,
        'child, parent',
      ),
      rebuild('parents', 'parent TEXT PRIMARY KEY, town TEXT', 'parent, town'),
      'ALTER TABLE children ADD COLUMN note TEXT',
      'CREATE INDEX parents_town ON parents (town)',
    ],
    next: (random) => {
      const what = random.next();
      if (what < 0.15 || parents === 0) return insert(random, [`p${++parents}`], [], isCopied);
      const parent = `p${Math.max(1, parents - random.below(RECENT))}`;
      if (what < 0.25)
        return insert(random, [`p${++parents}`], [[`c${++children}`, `p${parents}`]], isCopied);
      if (what < 0.55) return insert(random, [], [[`c${++children}`, parent]], isCopied);
      if (what < 0.8) return { ...remove('parent', parent), alone: isCopied };
      if (what < 0.88) return remove('child', `c${Math.max(1, children - random.below(RECENT))}`);
      if (isCopied && random.chance(0.5)) return readOrphans();
      return readAll(!isCopied && random.chance(0.5));
    },
    final: () => readAll(false),
    check: (history) => checkForeign(history, onDelete),
  };
}

/** Of a batch keys are looked at when all is there; of an interactive transaction after each statement. */
function insert(
  random: Random,
  parents: readonly string[],
  children: readonly (readonly [string, string])[],
  parentsFirst: boolean,
): Operation<ForeignStep> {
  const ofChildren = children.map((row) => ({
    sql: 'INSERT INTO children (child, parent) VALUES (?, ?)',
    args: row,
  }));
  const ofParents = parents.map((parent) => ({
    sql: 'INSERT INTO parents VALUES (?, ?)',
    args: [parent, random.pick(TOWNS)],
  }));
  const isLate = parents.length > 0 && children.length > 0 && !parentsFirst && random.chance(0.5);
  const statements: Statement[] = isLate ? [...ofChildren, ...ofParents] : [...ofParents, ...ofChildren];
  return {
    path: '/v1/batch',
    body: { statements },
    alone: isLate,
    steps: () => [
      ...parents.map((parent) => ({ kind: 'insert-parent', parent }) as const),
      ...children.map(([child, parent]) => ({ kind: 'insert-child', child, parent }) as const),
    ],
  };
}

function remove(kind: 'parent' | 'child', id: string): Operation<ForeignStep> {
  const [table, column] = kind === 'parent' ? ['parents', 'parent'] : ['children', 'child'];
  return {
    path: '/v1/query',
    body: { sql: `DELETE FROM ${table} WHERE ${column} = ?`, args: [id] },
    steps: () => [
      kind === 'parent' ? { kind: 'delete-parent', parent: id } : { kind: 'delete-child', child: id },
    ],
  };
}

function readOrphans(): Operation<ForeignStep> {
  return {
    path: '/v1/query',
    body: {
      sql: 'SELECT c.child FROM children AS c LEFT JOIN parents AS p ON p.parent = c.parent WHERE p.parent IS NULL',
    },
    steps: (results) => [{ kind: 'orphans', children: (results?.[0] ?? []).map(([child]) => child as Id) }],
  };
}

function readAll(isAlone: boolean): Operation<ForeignStep> {
  const body = isAlone
    ? { sql: 'SELECT NULL, parent FROM parents UNION ALL SELECT child, parent FROM children' }
    : {
        statements: [
          { sql: 'SELECT NULL, parent FROM parents' },
          { sql: 'SELECT child, parent FROM children' },
        ],
      };
  return {
    path: isAlone ? '/v1/query' : '/v1/batch',
    body,
    steps: (results) => {
      const rows = results?.flat() ?? [];
      const children = rows.filter(([child]) => child !== null);
      return [
        {
          kind: 'read-all',
          isStrong: true,
          parents: rows.filter(([child]) => child === null).map(([, parent]) => parent as Id),
          children: children.map(([child, parent]) => ({ child: child as Id, parent: parent as Id })),
        },
      ];
    },
  };
}
