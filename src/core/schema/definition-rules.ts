import { asciiLower } from '../../base/ascii.ts';
import { AtollError } from '../../protocol/error.ts';
import { isPureTableFunction } from '../sql/analysis/functions.ts';
import type { CreateTrigger, Delete, Insert, Node, Statement, Update } from '../sql/ast.ts';
import { findAll, walk } from '../sql/walk.ts';
import type { Schema } from './catalogue.ts';
import { isInternalName } from './introspect.ts';
import type { Table } from './table.ts';

/**
 * What no definition may contain: names of Atoll's own, and conflict clauses that end the whole SQLite
 * transaction (in workerd that ends the event with an internal error).
 *
 * @throws AtollError
 */
export function checkDefinition(statement: Statement): void {
  for (const name of [givenName(statement), concernedName(statement)]) if (name !== null) checkName(name);
  checkReadableName(statement);
  const common = new Set(findAll(statement, 'common-table').map(({ name }) => asciiLower(name.name)));
  walk(statement, {
    enter: (node) => {
      checkNode(node);
      checkTableFunction(node, common);
      return undefined;
    },
  });
}

/** The name that there is from now on. */
function givenName(statement: Statement): string | null {
  switch (statement.kind) {
    case 'alter-table':
      return statement.action.kind === 'rename-table' ? statement.action.to.name : null;
    case 'create-table':
    case 'create-view':
    case 'create-trigger':
    case 'create-index':
      return statement.name.name.name;
    default:
      return null;
  }
}

/** What is there already and is changed, dropped or built upon. */
function concernedName(statement: Statement): string | null {
  switch (statement.kind) {
    case 'alter-table':
    case 'create-trigger':
      return statement.table.name.name;
    case 'create-index':
      return statement.table.name;
    case 'drop':
      return statement.name.name.name;
    default:
      return null;
  }
}

/**
 * Tables and views hide functions of the same name from every statement, Atoll's own included: what SQLite
 * has in workerd, and what people expect of other builds.
 */
const TABLE_FUNCTION =
  /^(?:jsonb?_(?:each|tree)|pragma_.*|generate_series|fts3tokenize|fts5vocab|dbstat|carray)$/i;

function checkReadableName(statement: Statement): void {
  if (statement.kind === 'create-index' || statement.kind === 'create-trigger') return;
  const name = givenName(statement);
  if (name === null || !TABLE_FUNCTION.test(name)) return;
  throw new AtollError('internal-name', `${name} is the name of a table-valued function; take another`);
}

/**
 * Tables of Atoll's own are in some partitions only; a platform's are its own. Not all of `__`, with which
 * migration tools begin names in their users' schema: Miniflare keeps an object's name in such a table.
 */
function checkName(name: string): void {
  if (!isInternalName(name) && !/^__miniflare_/i.test(name)) return;
  throw new AtollError(
    'internal-name',
    `${name}: names that begin with atoll_, _atoll_, sqlite_, _cf_ or __miniflare_ are internal; ` +
      'a definition can neither give nor use them',
  );
}

/** What no statement may read, a definition may not either: it would break whatever uses the view or the table. */
function checkTableFunction(node: Node, common: ReadonlySet<string>): void {
  const isCall = node.kind === 'table-function';
  if (!isCall && node.kind !== 'table') return;
  const { name } = node.name;
  if (isCall ? isPureTableFunction(asciiLower(name)) : !TABLE_FUNCTION.test(name)) return;
  if (!isCall && common.has(asciiLower(name))) return;
  throw new AtollError(
    'unsupported',
    `the table-valued function ${name}: a definition can call json_each(…) and json_tree(…) only`,
  );
}

function checkNode(node: Node): void {
  if (node.kind === 'table') checkName(node.name.name);
  if (node.kind === 'create-trigger' && node.time === 'INSTEAD OF') {
    throw new AtollError(
      'unsupported',
      `trigger ${node.name.name.name}: INSTEAD OF triggers would never run, since views cannot be written; write to their tables`,
    );
  }
  if (node.kind === 'identifier' && /^_atoll_/i.test(node.name)) {
    throw new AtollError('internal-name', `${node.name}: names that begin with _atoll_ are Atoll's own`);
  }
  if ('or' in node && node.or === 'ROLLBACK') refuseRollback('OR ROLLBACK');
  if ('onConflict' in node && node.onConflict === 'ROLLBACK') refuseRollback('ON CONFLICT ROLLBACK');
  if (node.kind === 'raise' && node.action === 'ROLLBACK') refuseRollback('RAISE(ROLLBACK, …)');
  if (node.kind === 'deferrable' && !node.not && node.initially === 'DEFERRED') {
    throw new AtollError(
      'unsupported',
      'INITIALLY DEFERRED: a violation would surface after the reply; leave the foreign key immediate',
    );
  }
}

function refuseRollback(clause: string): never {
  throw new AtollError(
    'forbidden-statement',
    `${clause} would undo other work in the same transaction; use ABORT`,
  );
}

/**
 * What a trigger's body must satisfy besides. SQLite would choose max + 1 for an id that is left out, which may
 * be another partition's; and a chosen one is known to be free only where ids decide the partition.
 */
export function checkTriggerBody(trigger: CreateTrigger, schema: Schema): void {
  refuseKeepingRows(trigger);
  for (const statement of trigger.body) {
    if (statement.kind !== 'select') checkTriggerTarget(trigger, statement, schema);
    if (statement.kind === 'insert') checkTriggerInsert(trigger, statement, schema);
    if (statement.kind === 'update') checkTriggerUpdate(trigger, statement, schema);
  }
}

/**
 * REPLACE and foreign-key actions delete rows and go on, whether a trigger has kept them or not: then SQLite has two rows
 * where UNIQUE allows one, or a row without its parent, which nobody can replicate or undo.
 */
function refuseKeepingRows({ name, time, event, body }: CreateTrigger): void {
  if (event !== 'DELETE' || time === 'AFTER' || time === 'INSTEAD OF') return;
  const keeps = body.some((statement) =>
    findAll(statement, 'raise').some(({ action }) => action === 'IGNORE'),
  );
  if (!keeps) return;
  throw new AtollError(
    'unsupported',
    `trigger ${name.name.name}: RAISE(IGNORE) before a DELETE keeps rows that REPLACE and foreign keys take for deleted; ` +
      'use RAISE(ABORT, …), or leave the rows out by WHERE',
  );
}

/** Whoever fires it writes in one place: all copies of a reference table, or a key's partition. */
function checkTriggerTarget(trigger: CreateTrigger, write: Insert | Update | Delete, schema: Schema): void {
  const own = schema.table(trigger.table.name.name);
  const target = schema.table(write.table.name.name);
  if (own === undefined || target === undefined || own.placement.kind === target.placement.kind) return;
  throw new AtollError(
    'unsupported',
    `trigger ${trigger.name.name.name} on ${own.name} writes ${target.name}: ` +
      'one of them is a reference table, the other is partitioned',
  );
}

function checkTriggerInsert(trigger: CreateTrigger, insert: Insert, schema: Schema): void {
  const table = schema.table(insert.table.name.name);
  if (table === undefined || table.rowidName === null) return;
  const idColumn = table.rowidColumn ?? table.rowidName;
  const given = givenId(insert, table);
  if (!mayChooseId(table)) {
    throw new AtollError(
      'unsupported',
      `trigger ${trigger.name.name.name}: the ids of ${table.name} are generated, which a trigger cannot do yet; ` +
        `declare ${table.name} WITHOUT ROWID with a key of its own`,
    );
  }
  if (given) return;
  throw new AtollError(
    'unsupported',
    `trigger ${trigger.name.name.name}: INSERT INTO ${table.name} leaves the id to be generated; ` +
      `give ${idColumn} a value, or declare ${table.name} WITHOUT ROWID with a key of its own`,
  );
}

/** Whether every row gets an id that is not plainly NULL. */
function givenId({ columns, source }: Insert, table: Table): boolean {
  const names =
    columns?.map(({ name }) => name) ??
    table.columns.filter((column) => column.generated === 'no').map((column) => column.name);
  const index = names.findIndex((name) => isId(table, name));
  if (index < 0 || source === null) return false;
  if (source.body.kind !== 'values') return true;
  return source.body.rows.every(({ items }) => {
    const item = items[index];
    return !(item?.kind === 'literal' && item.type === 'null');
  });
}

function checkTriggerUpdate(trigger: CreateTrigger, update: Update, schema: Schema): void {
  const table = schema.table(update.table.name.name);
  if (table === undefined || table.rowidName === null || mayChooseId(table)) return;
  const changed = update.set.flatMap(({ columns }) => columns).find(({ name }) => isId(table, name));
  if (changed === undefined) return;
  throw new AtollError(
    'needs-global-index',
    `trigger ${trigger.name.name.name}: ${changed.name} is the id of ${table.name}, which is not its partition key: it cannot be set`,
  );
}

function isId({ rowidColumn, columns }: Table, name: string): boolean {
  const lower = asciiLower(name);
  if (rowidColumn !== null && lower === asciiLower(rowidColumn)) return true;
  const isAlias = lower === 'rowid' || lower === '_rowid_' || lower === 'oid';
  return isAlias && !columns.some((column) => asciiLower(column.name) === lower);
}

/** Equal ids of the table meet in one place: where the id is the key, or where all copies are written. */
function mayChooseId({ placement, rowidColumn, rowidName }: Table): boolean {
  if (placement.kind === 'reference') return true;
  return placement.key.some((name) => asciiLower(name) === asciiLower(rowidColumn ?? rowidName ?? ''));
}
