import { constants } from 'node:sqlite';
import { SCHEMA_PRAGMAS } from '../core/sqlite/schema-pragmas.ts';

/**
 * What workerd's authorizer refuses, seen in workerd 2026-10-23, so that a statement behaves the same on
 * an agent: TEMP objects, ATTACH, transactions in SQL, most PRAGMAs, some functions, `_cf_` names.
 */
export function refusesLikeWorkerd(action: number, first: string | null, second: string | null): boolean {
  if (TEMPORARY.has(action)) return true;
  if (action === constants.SQLITE_PRAGMA) return !PRAGMAS.has((first ?? '').toLowerCase());
  if (action === constants.SQLITE_FUNCTION) return FUNCTIONS.has((second ?? '').toLowerCase());
  if (action === constants.SQLITE_CREATE_VTABLE) return !/^fts5(vocab)?$/i.test(second ?? '');
  return NAMED.has(action) && /^_cf_/i.test(first ?? '');
}

const TEMPORARY: ReadonlySet<number> = new Set([
  constants.SQLITE_CREATE_TEMP_INDEX,
  constants.SQLITE_CREATE_TEMP_TABLE,
  constants.SQLITE_CREATE_TEMP_TRIGGER,
  constants.SQLITE_CREATE_TEMP_VIEW,
  constants.SQLITE_DROP_TEMP_INDEX,
  constants.SQLITE_DROP_TEMP_TABLE,
  constants.SQLITE_DROP_TEMP_TRIGGER,
  constants.SQLITE_DROP_TEMP_VIEW,
  constants.SQLITE_ATTACH,
  constants.SQLITE_DETACH,
  constants.SQLITE_TRANSACTION,
  constants.SQLITE_SAVEPOINT,
]);

const NAMED: ReadonlySet<number> = new Set([
  constants.SQLITE_CREATE_TABLE,
  constants.SQLITE_CREATE_INDEX,
  constants.SQLITE_CREATE_TRIGGER,
  constants.SQLITE_CREATE_VIEW,
  constants.SQLITE_DROP_TABLE,
  constants.SQLITE_READ,
  constants.SQLITE_INSERT,
  constants.SQLITE_UPDATE,
  constants.SQLITE_DELETE,
]);

const PRAGMAS: ReadonlySet<string> = new Set([
  ...SCHEMA_PRAGMAS,
  'foreign_key_check',
  'foreign_keys',
  'defer_foreign_keys',
  'quick_check',
  'optimize',
  'data_version',
  'recursive_triggers',
  'case_sensitive_like',
  'ignore_check_constraints',
  'legacy_alter_table',
  'reverse_unordered_selects',
]);

const FUNCTIONS: ReadonlySet<string> = new Set([
  'sqlite_version',
  'sqlite_source_id',
  'sqlite_compileoption_get',
  'sqlite_compileoption_used',
  'load_extension',
]);
