import { asciiLower } from '../../base/ascii.ts';
import { switchOfForeignKeys } from '../schema/foreign-keys-switch.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { Pragma } from '../sql/ast.ts';
import { SCHEMA_PRAGMAS } from '../sqlite/schema-pragmas.ts';
import type { PragmaPlan } from './plan.ts';

/** Any other PRAGMA changes or shows a connection, which all users of a partition share. */
export function planPragma(pragma: Pragma): PragmaPlan {
  const name = asciiLower(pragma.name.name.name);
  if (switchOfForeignKeys(pragma) !== null) {
    return refuse(
      'forbidden-statement',
      `PRAGMA ${name}: foreign keys are always on, but for the rebuild of tables: send it in one batch with the schema changes that it is for ` +
        '(POST /v1/batch; a script of atoll sql sends them so)',
    );
  }
  if (SCHEMA_PRAGMAS.includes(name)) return { kind: 'pragma', name, reason: 'it reads the schema only' };
  return refuse(
    'forbidden-statement',
    `PRAGMA ${name} would act on one partition's connection, which others share. Allowed: ${SCHEMA_PRAGMAS.join(', ')}`,
  );
}
