import { asciiLower } from '../../base/ascii.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { Pragma } from '../sql/ast.ts';
import type { PragmaPlan } from './plan.ts';

/** Those that only read the schema, which is the same in every partition: https://www.sqlite.org/pragma.html */
const SCHEMA_READS: ReadonlySet<string> = new Set([
  'table_info',
  'table_xinfo',
  'table_list',
  'index_list',
  'index_info',
  'index_xinfo',
  'foreign_key_list',
]);

/** Any other PRAGMA changes or shows a connection, which all users of a partition share. */
export function planPragma(pragma: Pragma): PragmaPlan {
  const name = asciiLower(pragma.name.name.name);
  if (SCHEMA_READS.has(name)) return { kind: 'pragma', name, reason: 'it reads the schema only' };
  return refuse(
    'forbidden-statement',
    `PRAGMA ${name} would act on one partition's connection, which others share. Allowed: ${[...SCHEMA_READS].join(', ')}`,
  );
}
