import { AtollError } from '../../protocol/error.ts';
import type { Node, Statement } from '../sql/ast.ts';
import { walk } from '../sql/walk.ts';
import { SCHEMA_PRAGMAS } from '../sqlite/schema-pragmas.ts';

/**
 * What a partition runs for a client at all, whatever the router has planned: reads and writes of users' rows.
 *
 * @throws AtollError that says what to change
 */
export function guardStatement(statement: Statement): void {
  switch (statement.kind) {
    case 'select':
    case 'insert':
    case 'update':
    case 'delete':
      break;
    case 'pragma':
      if (SCHEMA_PRAGMAS.includes(statement.name.name.name.toLowerCase())) {
        if (statement.value !== null) guardName(statement.value.text);
        break;
      }
      throw new AtollError(
        'forbidden-statement',
        `PRAGMA ${statement.name.name.name} is not allowed: it would change other requests' answers`,
      );
    default:
      throw new AtollError(
        'forbidden-statement',
        `${statement.kind.toUpperCase().replaceAll('-', ' ')} does not run in a partition`,
      );
  }
  walk(statement, {
    enter: (node) => {
      guardNode(node);
      return undefined;
    },
  });
}

function guardName(name: string): void {
  if (!/^_(atoll|cf)_/i.test(name)) return;
  throw new AtollError(
    'internal-name',
    `${name}: names that begin with ${name.slice(0, name.indexOf('_', 1) + 1)} are internal`,
  );
}

function guardNode(node: Node): void {
  if (node.kind === 'identifier') guardName(node.name);
  if ((node.kind === 'insert' || node.kind === 'update') && node.or === 'ROLLBACK') {
    throw new AtollError(
      'forbidden-statement',
      'OR ROLLBACK would undo other work in the same transaction; use OR ABORT',
    );
  }
}
