import { asciiLower } from '../../base/ascii.ts';
import type { Pragma, Statement } from '../sql/ast.ts';

/** Asks for rows without a parent, of one table or all. */
export const FOREIGN_KEY_CHECK = 'foreign_key_check';

/**
 * What a PRAGMA between schema changes says of foreign keys, as migration tools write it around the rebuild of a table; `checked`: what it
 * asks for is done with every change, when all of its statements have run. Null: it says something else.
 */
export function switchOfForeignKeys(statement: Pragma): 'on' | 'off' | 'checked' | null {
  if (asciiLower(statement.name.name.name) === FOREIGN_KEY_CHECK) return 'checked';
  const suspension = suspensionOf(statement);
  if (suspension === null) return null;
  if (suspension.pragma === 'defer_foreign_keys') return 'checked';
  return suspension.begins ? 'off' : 'on';
}

/** The PRAGMA by which foreign keys are not looked at from here on, or are again; null: the statement is neither. */
export function suspensionOf(
  statement: Statement,
): { readonly pragma: 'foreign_keys' | 'defer_foreign_keys'; readonly begins: boolean } | null {
  if (statement.kind !== 'pragma') return null;
  const pragma = asciiLower(statement.name.name.name);
  if (pragma !== 'foreign_keys' && pragma !== 'defer_foreign_keys') return null;
  // As SQLite reads them: https://www.sqlite.org/pragma.html#pragma_foreign_keys
  const value = statement.value?.text ?? '';
  const on = /^(on|yes|true|1)$/i.test(value);
  if (!on && !/^(off|no|false|0)$/i.test(value)) return null;
  return { pragma, begins: on === (pragma === 'defer_foreign_keys') };
}
