import { asciiLower } from '../../base/ascii.ts';
import type { SchemaVersion } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { RestoreState } from '../../protocol/restore.ts';
import type { Catalogue } from '../schema/catalogue.ts';
import type { SchemaChange } from '../schema/change.ts';
import type { Table } from '../schema/table.ts';
import { quoteName } from '../sqlite/quote.ts';
import type { System } from './system.ts';

/** Setting of the system partition: the last restore, and how it ended. */
const SETTING = 'restore';

interface Record {
  readonly id: string;
  readonly state: RestoreState;
}

/**
 * From here on every partition refuses what is not part of this restore. The schema says so: it reaches all partitions
 * before anything of a later version does, and routers with it.
 *
 * @throws AtollError unless the database is empty
 */
export function beginRestore(system: System, id: string, now: number): void {
  const { catalogue } = system.replica.schema;
  if (catalogue.restoring === id) return;
  if (catalogue.restoring !== undefined) {
    throw new AtollError('busy', 'another restore is under way', 'none');
  }
  const first = catalogue.tables[0] ?? catalogue.views[0];
  if (first !== undefined) {
    throw new AtollError(
      'already-exists',
      `the database is not empty, it has ${first.name}: restore into a new cluster, or drop all tables and views first`,
      'none',
    );
  }
  const change = stepFrom(catalogue, [], { ...catalogue, restoring: id });
  system.impose(change, () => record(system, { id, state: 'restoring' }), now);
}

/** Ends a restore unless it has ended already, and tells how. */
export function endRestore(system: System, id: string, publish: boolean, now: number): RestoreState {
  const { catalogue } = system.replica.schema;
  if (catalogue.restoring !== id) return lastState(system, id);
  const { restoring: _, ...open } = catalogue;
  const { uniques: __, references: ___, ...empty } = open;
  const state = publish ? 'published' : 'undone';
  const change = publish
    ? stepFrom(catalogue, [], open)
    : stepFrom(catalogue, dropAll(catalogue), { ...empty, tables: [], views: [], triggers: [] });
  system.impose(change, () => record(system, { id, state }), now);
  return state;
}

/** The restore that is under way: after a start, one whose router may be gone. */
export function restoreUnderWay(system: System): string | null {
  return system.replica.schema.catalogue.restoring ?? null;
}

function lastState(system: System, id: string): RestoreState {
  const text = system.setting(SETTING);
  const last = text === null ? null : (JSON.parse(text) as Record);
  return last?.id === id ? last.state : 'unknown';
}

function record(system: System, last: Record): void {
  system.set(SETTING, JSON.stringify(last));
}

function stepFrom(before: Catalogue, statements: readonly string[], after: Catalogue): SchemaChange {
  const version = (before.version + 1) as SchemaVersion;
  return { version, statements, mustBeEmpty: [], catalogue: { ...after, version } };
}

/**
 * Drops everything, with whatever rows are there: children before their parents, so that nothing cascades, and with
 * foreign keys deferred, since rows of a half restored table may lack parents and tables may refer to each other.
 */
function dropAll({ tables, views, triggers, uniques = [], references = [] }: Catalogue): string[] {
  return [
    'PRAGMA defer_foreign_keys = ON',
    ...triggers.map(({ name }) => `DROP TRIGGER ${quoteName(name)}`),
    ...views.map(({ name }) => `DROP VIEW ${quoteName(name)}`),
    ...childrenFirst(tables).map(({ name }) => `DROP TABLE ${quoteName(name)}`),
    'PRAGMA defer_foreign_keys = OFF',
    ...[...uniques, ...references].map(({ table }) => `DROP TABLE ${table.name}`),
  ];
}

function childrenFirst(tables: readonly Table[]): Table[] {
  const ordered: Table[] = [];
  const seen = new Set<Table>();
  const visit = (table: Table): void => {
    if (seen.has(table)) return;
    seen.add(table);
    for (const other of tables) {
      if (other.foreignKeys.some(({ parent }) => sameName(parent, table.name))) visit(other);
    }
    ordered.push(table);
  };
  for (const table of tables) visit(table);
  return ordered;
}

function sameName(a: string, b: string): boolean {
  return asciiLower(a) === asciiLower(b);
}
