import { asciiLower } from '../../base/ascii.ts';
import type { TableId, Token } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import type { Change } from '../log/commit.ts';
import { sameValue } from '../log/encoding.ts';
import { keyOf, type Layouts, layoutOf } from '../log/layout.ts';
import { tokensOf } from '../plan/bind.ts';
import type { Plan, RoutePlan, ScatterWritePlan, Tables } from '../plan/plan.ts';
import { FIRST_USER_TABLE_ID, type Schema } from '../schema/catalogue.ts';
import { keysToCopies } from '../schema/keys-to-copies.ts';
import { looseIdColumn } from '../schema/loose-ids.ts';
import { type KeyColumn, tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns, parentColumnsOf } from '../schema/placement.ts';
import type { Table } from '../schema/table.ts';
import { copyLock, type Lock, WHOLE_EXCLUSIVE, WHOLE_SHARED } from './lock.ts';

/** Keys that one transaction locks one by one in a partition; of more, it locks the tables (chosen). */
export const KEYS_MAX = 1_000;

/** The locks that a statement needs before it runs, as far as its plan proves what it accesses; else the whole partition. */
export function footprintOf(plan: Plan, args: readonly SqlValue[], schema: Schema): Lock[] {
  switch (plan.kind) {
    case 'route': {
      const tokens = plan.pin.kind === 'key' ? tokensOf(plan.pin.columns, plan.pin.tuples, args) : [];
      if (plan.access === 'read')
        return readLocks(plan.tables, plan.pin.kind === 'key' ? tokens : null, schema);
      return writeLocks(plan.tables, plan.reaches, tokens, schema);
    }
    case 'scatter':
      return readLocks(plan.tables, tokensOfTargets(plan, args), schema);
    case 'scatter-write':
      return writeLocks(plan.tables, plan.reaches, tokensOfTargets(plan, args), schema);
    case 'pragma':
    case 'system':
      return [];
    default:
      return [WHOLE_EXCLUSIVE];
  }
}

/** What an INSERT of rows needs beside the locks of their keys, which are known when they are in. */
export function locksBesideRows({ tables, reaches }: RoutePlan | ScatterWritePlan, schema: Schema): Lock[] {
  return writeLocks(tables, reaches, [], schema);
}

/** For what cannot be planned here: parts of a statement that another router has taken apart. */
export function wholePartition(access: 'read' | 'write'): Lock[] {
  return [access === 'read' ? WHOLE_SHARED : WHOLE_EXCLUSIVE];
}

function tokensOfTargets(
  { targets }: Extract<Plan, { kind: 'scatter' | 'scatter-write' }>,
  args: readonly SqlValue[],
): Token[] | null {
  return targets.kind === 'all' ? null : tokensOf(targets.columns, targets.tuples, args);
}

/** `tokens` null: of every key. */
function readLocks(
  { partitioned, reference }: Tables,
  tokens: readonly Token[] | null,
  schema: Schema,
): Lock[] {
  const keys = tokens === null || tokens.length > KEYS_MAX ? [null] : tokens;
  return [
    ...partitioned.flatMap((name) => keys.map((token) => shared(schema, name, token))),
    ...reference.map((name) => copyLock(idOf(schema, name), false)),
  ];
}

/**
 * Of a write every table is locked at its keys, since foreign keys look at rows of other tables with the same key; what
 * triggers reach is not proved to have it.
 */
function writeLocks(
  { partitioned, reference }: Tables,
  reaches: readonly string[],
  tokens: readonly Token[] | null,
  schema: Schema,
): Lock[] {
  const touched = [...partitioned, ...reaches];
  if (touched.some((name) => schema.triggersOn(name).length > 0)) return [WHOLE_EXCLUSIVE];
  const related = touched.some((name) => isRelated(schema, name));
  if (related && !touched.every((name) => staysWithKey(schema, name))) return [WHOLE_EXCLUSIVE];
  const parents = touched.flatMap((name) => copiedParents(schema.table(name), schema));
  const own: Lock[] = [
    ...reference.map((name) => copyLock(idOf(schema, name), false)),
    ...parents.map((id) => copyLock(id, false)),
  ];
  if (tokens !== null && tokens.length <= KEYS_MAX) {
    for (const token of tokens) own.push({ table: null, token, exclusive: true });
  } else if (related) return [WHOLE_EXCLUSIVE];
  else for (const name of touched) own.push({ table: idOf(schema, name), token: null, exclusive: true });
  return own;
}

/** The locks of a write of one table at keys with these tokens. */
export function writtenLocks(
  { name }: Table,
  reaches: readonly string[],
  tokens: readonly Token[],
  schema: Schema,
): Lock[] {
  return writeLocks({ partitioned: [name], reference: [] }, reaches, tokens, schema);
}

/** Locks of rows that others have made for this partition: foreign keys are checked here, and may look at other keys. */
export function incomingLocks(changes: readonly Change[], layouts: Layouts, schema: Schema): Lock[] {
  const names = [...new Set(changes.map((change) => layoutOf(layouts, change).table))];
  const related = names.some((name) => isRelated(schema, name));
  if (related && !names.every((name) => staysWithKey(schema, name))) return [WHOLE_EXCLUSIVE];
  return changedLocks(changes, layouts, schema);
}

/**
 * Locks of what a transaction has changed; for rows whose keys its plan did not know. Of rows that come also their ids, where
 * those do not say where a row is, and of rows that come to refer to others, the reference tables of these.
 */
export function changedLocks(changes: readonly Change[], layouts: Layouts, schema: Schema): Lock[] {
  const tokens = new Set<Token>();
  const tables = new Set<TableId>();
  const ids = new Map<TableId, bigint[]>();
  const parents = new Set<TableId>();
  for (const change of changes) {
    if (change.tableId < FIRST_USER_TABLE_ID) continue;
    const table = schema.stored.get(change.tableId);
    if (table === undefined) return [WHOLE_EXCLUSIVE];
    tables.add(table.id);
    noteComingId(ids, table, change, layouts);
    noteParents(parents, table, change, layouts, schema);
    if (tokens.size > KEYS_MAX || table.placement.kind !== 'partitioned') continue;
    const columns = layoutOf(layouts, change).columns.map(asciiLower);
    const places = table.placement.key.map((name) => columns.indexOf(asciiLower(name)));
    for (const image of [change.before, change.after]) {
      if (image === null) continue;
      tokens.add(
        tokenOfKey(
          places.map((place) => image[place] ?? null),
          keyColumns(table),
        ),
      );
    }
  }
  const coming = [...ids].flatMap(([table, own]) => idLocks(table, own));
  const rows: Lock[] =
    tokens.size > KEYS_MAX
      ? [...tables].map((table) => ({ table, token: null, exclusive: true }))
      : [...tokens].map((token) => ({ table: null, token, exclusive: true }));
  const copies = [...parents].map((table) => copyLock(table, false));
  return [...rows, ...coming, ...copies];
}

/** Reference tables that rows of the table refer to: none of theirs goes meanwhile, nor is it asked for before it has come. */
function copiedParents(table: Table | undefined, schema: Schema): readonly TableId[] {
  if (table === undefined) return [];
  return keysToCopies(schema, table).map(({ parentTable }) => parentTable.id);
}

/** Of a row that comes, or comes to refer to another one. */
function noteParents(
  parents: Set<TableId>,
  table: Table,
  change: Change,
  layouts: Layouts,
  schema: Schema,
): void {
  if (change.after === null) return;
  for (const { parentTable, columns } of keysToCopies(schema, table)) {
    if (change.type === 'create' || isSetIn(change, columns, layouts)) parents.add(parentTable.id);
  }
}

function isSetIn(change: Change, columns: readonly string[], layouts: Layouts): boolean {
  const names = layoutOf(layouts, change).columns.map(asciiLower);
  return columns.some((column) => {
    const at = names.indexOf(asciiLower(column));
    // What is not stored follows from what is.
    return at < 0 || !sameValue(change.before?.[at] ?? null, change.after?.[at] ?? null);
  });
}

function noteComingId(ids: Map<TableId, bigint[]>, table: Table, change: Change, layouts: Layouts): void {
  if (change.type !== 'create' || change.after === null || looseIdColumn(table) === null) return;
  const [id] = keyOf(layoutOf(layouts, change), change.after);
  if (typeof id !== 'bigint') return;
  const known = ids.get(table.id);
  if (known === undefined) ids.set(table.id, [id]);
  else known.push(id);
}

/** Above all tokens of keys. */
const ID_TOKENS = 2 ** 32;

const ID_KEY: readonly KeyColumn[] = [{ affinity: 'INTEGER', collation: 'BINARY' }];

/**
 * Of ids that do not say where their rows are: whoever makes a row with one, in whatever partition, has its lock there. They are
 * beside the locks of keys and of tables, since readers need not wait for them: hence the table's negative id.
 */
export function idLocks(table: TableId, ids: readonly bigint[]): Lock[] {
  const beside = -table as TableId;
  if (ids.length > KEYS_MAX) return [{ table: beside, token: null, exclusive: true }];
  return ids.map((id) => ({
    table: beside,
    token: (ID_TOKENS + tokenOfKey([id], ID_KEY)) as Token,
    exclusive: true,
  }));
}

function shared(schema: Schema, name: string, token: Token | null): Lock {
  return { table: idOf(schema, name), token, exclusive: false };
}

/** A name that the schema does not know stands for anything. */
function idOf(schema: Schema, name: string): TableId | null {
  return schema.table(name)?.id ?? null;
}

function isRelated(schema: Schema, name: string): boolean {
  return keysAround(schema, name).length > 0;
}

/** Whether all that foreign keys look at or change for a row of the table has the row's own partition key. */
function staysWithKey(schema: Schema, name: string): boolean {
  return keysAround(schema, name).every(({ child, parent, columns, parentColumns, actions }) => {
    if (child.placement.kind !== 'partitioned' || parent.placement.kind !== 'partitioned') return false;
    const { key } = child.placement;
    const parentKey = parent.placement.key;
    if (key.length !== parentKey.length || actions.some((action) => /SET/i.test(action))) return false;
    return key.every((column, i) => {
      const at = columns.findIndex((each) => asciiLower(each) === asciiLower(column));
      return at >= 0 && asciiLower(parentColumns[at] ?? '') === asciiLower(parentKey[i] ?? '');
    });
  });
}

interface KeyBetween {
  readonly child: Table;
  readonly parent: Table;
  readonly columns: readonly string[];
  readonly parentColumns: readonly string[];
  readonly actions: readonly string[];
}

/** Foreign keys between partitioned tables, of which the table is one side: for those to reference tables see {@link changedLocks}. */
function keysAround(schema: Schema, name: string): KeyBetween[] {
  const own = asciiLower(name);
  return schema.catalogue.tables.flatMap((child) =>
    child.foreignKeys.flatMap((foreignKey) => {
      const parent = schema.table(foreignKey.parent);
      if (asciiLower(child.name) !== own && asciiLower(foreignKey.parent) !== own) return [];
      if (parent === undefined || parent.placement.kind === 'reference') return [];
      const parentColumns = parentColumnsOf(foreignKey, parent);
      const { columns, onDelete, onUpdate } = foreignKey;
      return [{ child, parent, columns, parentColumns, actions: [onDelete, onUpdate] }];
    }),
  );
}
