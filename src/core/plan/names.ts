import { asciiLower } from '../../base/ascii.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import { isSystemTable } from '../sql/analysis/system-tables.ts';
import { walk } from '../sql/analysis/walk.ts';
import type { Node, Statement } from '../sql/ast.ts';

/**
 * Refuses, wherever it stands in a statement: names that are Atoll's or SQLite's own, and ROLLBACK as a
 * conflict action, which would end the transaction of every statement that shares it.
 */
export function checkNames(statement: Statement): void {
  walk(statement, (node) => {
    checkNode(node);
    return undefined;
  });
}

function checkNode(node: Node): void {
  switch (node.kind) {
    case 'identifier':
      if (asciiLower(node.name).startsWith('_atoll_')) {
        refuse('internal-name', `"${node.name}": names that begin with _atoll_ are internal`);
      }
      return;
    case 'table':
    case 'table-function':
    case 'qualified-name':
      checkTable(node.name.name);
      return;
    case 'pragma-value':
      checkTable(node.text);
      return;
    case 'raise':
      if (node.action === 'ROLLBACK') refuseRollback('RAISE(ROLLBACK)', 'RAISE(ABORT)');
      return;
    case 'insert':
    case 'update':
      if (node.or === 'ROLLBACK') refuseRollback('OR ROLLBACK', 'OR ABORT');
      return;
    default:
      if ('onConflict' in node && node.onConflict === 'ROLLBACK') {
        refuseRollback('ON CONFLICT ROLLBACK', 'ON CONFLICT ABORT');
      }
  }
}

function checkTable(name: string): void {
  const lower = asciiLower(name);
  if (lower.startsWith('_atoll_')) {
    refuse('internal-name', `"${name}": names that begin with _atoll_ are internal`);
  }
  if (lower.startsWith('sqlite_')) {
    refuse(
      'internal-name',
      `"${name}" is internal to each partition: GET /v1/schema shows tables and indexes`,
    );
  }
  if (lower.startsWith('_cf_')) refuse('internal-name', `"${name}" is internal to the platform`);
}

function refuseRollback(what: string, instead: string): never {
  refuse('forbidden-statement', `${what} would end the transaction of other statements too: use ${instead}`);
}

/** Tables that a statement names and does not define itself by WITH: Atoll's own, and all others. */
export function namedTables(statement: Statement): { system: string[]; others: string[] } {
  const common = new Set<string>();
  const system = new Set<string>();
  const others = new Set<string>();
  walk(statement, (node) => {
    if (node.kind === 'common-table') common.add(asciiLower(node.name.name));
    return undefined;
  });
  walk(statement, (node) => {
    if (node.kind !== 'table') return undefined;
    const name = asciiLower(node.name.name);
    if (node.schema === null && common.has(name)) return undefined;
    (isSystemTable(name) ? system : others).add(name);
    return undefined;
  });
  return { system: [...system], others: [...others] };
}
