import { asciiLower } from '../../base/ascii.ts';
import { AtollError } from '../../protocol/error.ts';
import type { CreateTrigger, Insert, Node, Statement } from '../sql/ast.ts';
import { walk } from '../sql/walk.ts';
import type { Schema } from './catalogue.ts';

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

function checkNode(node: Node): void {
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
 * What a trigger's body must satisfy besides. Its INSERTs give their rows' ids themselves: SQLite's own
 * choice, max + 1, may be another partition's.
 */
export function checkTriggerBody(trigger: CreateTrigger, schema: Schema): void {
  for (const statement of trigger.body) {
    if (statement.kind === 'insert') checkTriggerInsert(trigger, statement, schema);
  }
}

function checkTriggerInsert(trigger: CreateTrigger, insert: Insert, schema: Schema): void {
  const table = schema.table(insert.table.name.name);
  if (table === undefined || table.rowidName === null) return;
  const idColumn = table.rowidColumn ?? table.rowidName;
  const given =
    insert.columns === null
      ? table.rowidColumn !== null && insert.source !== null
      : insert.columns.some((column) => asciiLower(column.name) === asciiLower(idColumn));
  if (given) return;
  throw new AtollError(
    'unsupported',
    `trigger ${trigger.name.name.name}: INSERT INTO ${table.name} leaves the id to be generated; ` +
      `give ${idColumn} a value, or declare ${table.name} WITHOUT ROWID with a key of its own`,
  );
}
