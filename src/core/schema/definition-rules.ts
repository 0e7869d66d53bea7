import { asciiLower } from '../../base/ascii.ts';
import { AtollError } from '../../protocol/error.ts';
import type { CreateTrigger, Insert, Node, Statement, Update } from '../sql/ast.ts';
import { walk } from '../sql/walk.ts';
import type { Schema } from './catalogue.ts';
import type { Table } from './table.ts';

/**
 * What no definition may contain: names of Atoll's own, and conflict clauses that end the whole SQLite
 * transaction (in workerd that ends the event with an internal error).
 *
 * @throws AtollError
 */
export function checkDefinition(statement: Statement): void {
  const defined = definedName(statement);
  if (defined !== null && /^atoll_/i.test(defined)) {
    throw new AtollError(
      'internal-name',
      `${defined}: names that begin with atoll_ are Atoll's own; take another`,
    );
  }
  if (statement.kind === 'create-index') checkTable(statement.table.name);
  if (statement.kind === 'create-trigger') checkTable(statement.table.name.name);
  walk(statement, {
    enter: (node) => {
      checkNode(node);
      return undefined;
    },
  });
}

/** The name that the statement gives, or the one it changes. */
function definedName(statement: Statement): string | null {
  switch (statement.kind) {
    case 'alter-table':
      return statement.action.kind === 'rename-table' ? statement.action.to.name : statement.table.name.name;
    case 'create-table':
    case 'create-view':
    case 'create-trigger':
    case 'create-index':
    case 'drop':
      return statement.name.name.name;
    default:
      return null;
  }
}

/** The network information's tables are in the system partition alone, and nobody's to define upon. */
function checkTable(name: string): void {
  if (!/^atoll_/i.test(name)) return;
  throw new AtollError('internal-name', `${name}: a definition cannot use the tables of Atoll's own`);
}

function checkNode(node: Node): void {
  if (node.kind === 'table') checkTable(node.name.name);
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
  for (const statement of trigger.body) {
    if (statement.kind === 'insert') checkTriggerInsert(trigger, statement, schema);
    if (statement.kind === 'update') checkTriggerUpdate(trigger, statement, schema);
  }
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
