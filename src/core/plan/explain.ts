import { isKeyOver } from '../schema/reference-index.ts';
import type { KeyTuple, Lookup, Merge, Plan, RoutePlan, ScatterWritePlan, Targets } from './plan.ts';

/** One line of EXPLAIN. */
export interface ExplainRow {
  readonly step: string;
  readonly detail: string;
}

export const EXPLAIN_COLUMNS: readonly string[] = ['step', 'detail'];

/** Atoll's plan in words: which kind and why, what each partition runs, and how the rows are merged. */
export function explainPlan(plan: Plan): readonly ExplainRow[] {
  switch (plan.kind) {
    case 'explain':
      return explainPlan(plan.of);
    case 'refused':
      return [row('refused', plan.code), row('why', plan.message)];
    case 'transaction-control':
      return [row(plan.kind, plan.action), row('why', plan.message)];
    case 'schema':
    case 'pragma':
    case 'system':
      return [row(plan.kind, plan.reason)];
    case 'reference-write':
      return [
        row(plan.kind, plan.reason),
        ...reachRows(plan.reaches),
        ...(plan.referring === undefined
          ? []
          : [row('rows may refer to it', `${plan.referring.join(', ')}: all partitions take part`)]),
        ...spreadRows(plan),
      ];
    case 'gathered-insert':
      return [
        row(plan.kind, plan.reason),
        row('reads first', plan.read.sql),
        ...explainPlan(plan.read.plan),
        row('then', 'INSERT … VALUES of what was read, in one transaction that reads it once more'),
        ...tableRows(plan.insert.tables),
        ...reachRows(plan.insert.reaches),
        ...spreadRows(plan.insert),
      ];
    case 'route':
      return [
        row('route', `${plan.access}: ${plan.reason}`),
        row('partition', pinText(plan.pin)),
        ...tableRows(plan.tables),
        ...reachRows(plan.reaches),
        ...spreadRows(plan),
      ];
    case 'scatter':
      return [
        row('scatter', plan.reason),
        ...lookupRows(plan.lookup),
        row('partitions', targetsText(plan.targets)),
        ...tableRows(plan.tables),
        row('each runs', plan.sql),
        ...mergeRows(plan.merge),
      ];
    case 'scatter-write':
      return [
        row('scatter-write', plan.reason),
        ...lookupRows(plan.lookup),
        row('partitions', targetsText(plan.targets)),
        ...tableRows(plan.tables),
        ...reachRows(plan.reaches),
        ...spreadRows(plan),
        ...runRows(plan),
      ];
  }
}

function runRows(plan: ScatterWritePlan): ExplainRow[] {
  if (!plan.perPartition.sound) return [row('refused', plan.perPartition.message)];
  const isLocal = plan.moves === undefined && plan.indexes === undefined;
  return [
    row('runs', 'as one transaction over the partitions'),
    row(
      'atomicity:"partition"',
      isLocal ? 'runs in each partition by itself' : 'refused: it may write rows of other partitions',
    ),
  ];
}

function row(step: string, detail: string): ExplainRow {
  return { step, detail };
}

function tableRows({
  partitioned,
  reference,
}: {
  partitioned: readonly string[];
  reference: readonly string[];
}): ExplainRow[] {
  const rows: ExplainRow[] = [];
  if (partitioned.length > 0) rows.push(row('partitioned tables', partitioned.join(', ')));
  if (reference.length > 0) rows.push(row('reference tables', reference.join(', ')));
  return rows;
}

function reachRows(reaches: readonly string[]): ExplainRow[] {
  return reaches.length === 0 ? [] : [row('reaches', reaches.join(', '))];
}

function lookupRows(lookup: Lookup | undefined): ExplainRow[] {
  if (lookup === undefined) return [];
  const { table, columns, values } = lookup;
  const detail = `${table} (${columns.join(', ')}) = ${tupleText(values)}: the partition of that row alone, or all if it moves meanwhile`;
  return [row('looks up', detail)];
}

function spreadRows({
  moves = [],
  indexes = [],
  acts = [],
  staged,
  ids,
}: Pick<Partial<RoutePlan>, 'moves' | 'indexes' | 'acts' | 'staged' | 'ids'>): ExplainRow[] {
  const references = indexes.filter(isKeyOver);
  const uniques = indexes.filter((text) => !isKeyOver(text));
  return [
    ...(staged === undefined
      ? []
      : [row('looks for', `rows of ${staged.table} in its way, in all partitions, before it runs`)]),
    ...(moves.length === 0 ? [] : [row('moves rows of', moves.join(', '))]),
    ...(uniques.length === 0 ? [] : [row('unique over partitions', uniques.join('; '))]),
    ...(references.length === 0 ? [] : [row('foreign keys over partitions', references.join('; '))]),
    ...(acts.length === 0 ? [] : [row('foreign keys then change', acts.join(', '))]),
    ...(ids === undefined
      ? []
      : [
          row(
            'gives ids',
            `of ${ids.table}, which all partitions are asked for; where they are NULL, none is`,
          ),
        ]),
  ];
}

function pinText(pin: (Plan & { kind: 'route' })['pin']): string {
  if (pin.kind === 'any') return 'any';
  if (pin.kind === 'generated') return 'any: it generates the key';
  return `that of key ${pin.tuples.map(tupleText).join(', ')}`;
}

function targetsText(targets: Targets): string {
  return targets.kind === 'all' ? 'all' : `those of keys ${targets.tuples.map(tupleText).join(', ')}`;
}

function tupleText(tuple: KeyTuple): string {
  const values = tuple.map((source) =>
    source.kind === 'parameter' ? `?${source.index}` : literalText(source.value),
  );
  return `(${values.join(', ')})`;
}

function literalText(value: unknown): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  return value instanceof Uint8Array ? 'a blob' : String(value);
}

function mergeRows(merge: Merge): ExplainRow[] {
  const rows: ExplainRow[] = [];
  const { aggregate } = merge;
  if (aggregate !== null) {
    const folds = aggregate.folds.map((fold) => (fold.kind === 'extreme' ? fold.want : fold.kind)).join(', ');
    rows.push(row('merge: group', `by ${aggregate.group.length} columns; fold ${folds || 'nothing'}`));
    if (aggregate.having !== null) rows.push(row('merge: having', 'filter groups'));
  }
  if (merge.distinct !== null) rows.push(row('merge: distinct', `over ${merge.distinct.length} columns`));
  if (merge.order.length > 0) {
    const keys = merge.order.map(
      (key) => `${key.column + 1}${key.descending ? ' DESC' : ''} ${key.collation}`,
    );
    rows.push(row(merge.sorted ? 'merge: ordered' : 'merge: sort', keys.join(', ')));
  }
  if (merge.limit !== null) rows.push(row('merge: limit', 'LIMIT and OFFSET over all rows'));
  if (rows.length === 0) rows.push(row('merge: concatenate', 'rows of all partitions'));
  return rows;
}
