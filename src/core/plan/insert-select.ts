import { asciiLower } from '../../base/ascii.ts';
import { isPartitionedById } from '../schema/keyed-by-id.ts';
import type { Analyzer } from '../sql/analysis/analyzer.ts';
import { type Constant, constantOf } from '../sql/analysis/constant.ts';
import { columnOf } from '../sql/analysis/facts.ts';
import { sameClass } from '../sql/analysis/graph.ts';
import type { CoreModel, Output, SelectModel } from '../sql/analysis/model.ts';
import { Refusal, refuse } from '../sql/analysis/refusal.ts';
import type { InsertModel } from '../sql/analysis/write.ts';
import { keyColumns, refuseIdChange } from './change.ts';
import { fallsApart, type InsertBase, insertInEach, planGenerating, planMoving } from './insert-moving.ts';
import { equalTuples, refuseDefault } from './inserted-key.ts';
import { pinOf } from './pin.ts';
import type { KeyClass, KeyTuple, Plan } from './plan.ts';
import { type Layout, valueIn } from './row-values.ts';
import { colocated, keyClassesOf } from './tables.ts';

/**
 * INSERT … SELECT: in one partition if what is read and the inserted key are restricted to the same constant, else in each, if each row stays where
 * it is read, else where what it reads is, from where the rows go to their partitions.
 */
export function planFromSelect(
  analyzer: Analyzer,
  model: InsertModel,
  layout: Layout,
  base: InsertBase,
  sql: string,
): Plan {
  const { table } = layout;
  const source = model.source;
  const why = `INSERT … SELECT into "${table.name}": `;
  if (source === null) return refuse('unsupported', `${why}it has no rows`);
  const id = asciiLower(table.rowidColumn ?? table.rowidName ?? '');
  if (!keyColumns(table).includes(id) && !givesNull(source, layout.places.get(id)))
    refuseIdChange(table, id, id);
  if (isPartitionedById(table) && givesNull(source, layout.places.get(id))) {
    return planGenerating(analyzer, model, base, sql);
  }
  try {
    const tuple = selectedTuple(analyzer, source, layout, why);
    const pin = { kind: 'key', columns: keyClassesOf(table), tuples: [tuple], generatesNull: false } as const;
    const reason = 'what it reads and the key that it inserts are restricted to one partition key';
    return { kind: 'route', access: 'write', pin, ...base, reason };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (!staysWithKey(analyzer, model, source, layout)) return planMoving(analyzer, model, base, sql, error);
    const reason = 'each row stays in the partition that it is read in';
    return insertInEach(analyzer, model, base, sql, { reason });
  }
}

/** Whether it has no column for the id, or NULL in it: as in VALUES, the id is generated then. */
function givesNull({ cores }: SelectModel, place: number | undefined): boolean {
  if (place === undefined) return true;
  return cores.every(({ outputs }) => {
    const expression = outputs[place]?.expression;
    const constant = expression == null ? null : constantOf(expression);
    return constant?.kind === 'literal' && constant.value === null;
  });
}

/** The one key that it inserts, and to which all that it reads is restricted. */
function selectedTuple(analyzer: Analyzer, source: SelectModel, layout: Layout, why: string): KeyTuple {
  const { table } = layout;
  const tuples = source.cores.map((core) =>
    keyColumns(table).map((name) => selectedKey(analyzer, core, layout, name, why)),
  );
  const [tuple] = tuples;
  const columns = keyClassesOf(table);
  const uses = pinOf(analyzer.uses, analyzer.graph);
  if (tuple === undefined || !tuples.every((other) => equalTuples(other, tuple))) {
    return refuse('unsupported', `${why}its arms give different partition keys`);
  }
  const pinnedSame = uses?.tuples.length === 1 && equalTuples(uses.tuples[0] ?? [], tuple);
  const sameClasses = uses === null || JSON.stringify(uses.columns) === JSON.stringify(columns);
  if (analyzer.uses.length > 0 && !(pinnedSame && sameClasses)) {
    return refuse(
      'unsupported',
      `${why}restrict the tables that it reads to the partition key that it inserts, or insert the partition key of what it reads`,
    );
  }
  return tuple;
}

function selectedKey(
  analyzer: Analyzer,
  core: CoreModel,
  { table, places }: Layout,
  name: string,
  why: string,
): Constant {
  const place = places.get(name);
  if (place === undefined) {
    const value = valueIn({ table, places }, name, []);
    if (!isPartitionedById(table)) return value ?? refuseDefault(table, name);
    return refuse('unsupported', `${why}generated partition keys need VALUES`);
  }
  const output = core.outputs[place];
  const constant = output?.expression == null ? null : constantOf(output.expression);
  if (constant !== null && !isPartitionedById(table)) return constant;
  const column = output?.expression == null ? null : columnOf(output.expression, core.scope);
  const node = output?.node ?? null;
  if (node !== null && output?.nullable === false && (column === null || column.depth === 0)) {
    const set = analyzer.graph.constantsOf(node).find((candidate) => candidate.members.length === 1);
    const member = set?.members[0];
    if (fits(output, keyClassesOf(table)[keyColumns(table).indexOf(name)]) && member !== undefined)
      return member;
  }
  return refuse(
    'unsupported',
    `${why}its partition key "${name}" must be a constant, a column that WHERE restricts to one, or the partition key of what it reads`,
  );
}

/** Whether the value is stored as it was read, and compared in the same way. */
function fits(output: Output, own: KeyClass | undefined): boolean {
  if (own === undefined || output.affinity === null) return false;
  return sameClass({ affinity: output.affinity, collation: output.collation ?? 'BINARY' }, own);
}

/** Whether each row belongs to the partition that selects it: the key of what is read is the inserted one. */
function staysWithKey(
  analyzer: Analyzer,
  model: InsertModel,
  { cores, uses }: SelectModel,
  { table, places }: Layout,
): boolean {
  const classes = keyClassesOf(table);
  if (!fallsApart(analyzer, model) || !colocated(classes, uses)) return false;
  return keyColumns(table).every((name, i) => {
    const place = places.get(name);
    return place !== undefined && cores.every((core) => holdsKeyAt(analyzer, core, i, place, classes[i]));
  });
}

/** Whether the output at `place` holds the i-th column of the key by which the rows fall apart. */
function holdsKeyAt(
  { graph }: Analyzer,
  { anchor, outputs }: CoreModel,
  i: number,
  place: number,
  own: KeyClass | undefined,
): boolean {
  const output = outputs[place];
  const key = anchor.kind === 'nodes' ? anchor.nodes[i] : undefined;
  if (output === undefined || key === undefined || output.node === null || output.nullable) return false;
  return fits(output, own) && graph.reachedFrom(key).has(output.node);
}
