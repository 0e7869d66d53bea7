import type { CommitId } from '../../src/base/brand.ts';
import { applyCommit } from '../../src/core/log/apply.ts';
import { createLog } from '../../src/core/log/capture.ts';
import { dump, dumpFingerprint } from '../../src/core/log/dump.ts';
import { readCommit } from '../../src/core/log/read.ts';
import { readHead } from '../../src/core/log/tables.ts';
import { undoTo } from '../../src/core/log/undo.ts';
import { BOOKKEEPING, createInternalTable } from '../../src/core/replica/bookkeeping.ts';
import { createFormat } from '../../src/core/replica/format.ts';
import { readCatalogue, recordSchema } from '../../src/core/replica/schema-versions.ts';
import { SYSTEM_TABLES } from '../../src/core/replica/system-tables.ts';
import { applySchemaChange } from '../../src/core/schema/apply-change.ts';
import { type Catalogue, EMPTY_CATALOGUE } from '../../src/core/schema/catalogue.ts';
import type { SchemaChange } from '../../src/core/schema/change.ts';
import { tokenOfKey } from '../../src/core/schema/partition-key.ts';
import { keyColumns } from '../../src/core/schema/placement.ts';
import { covers } from '../../src/core/schema/token-map.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import type { Host } from './host.ts';
import { type Model, rowsOf, shapeOf } from './model.ts';

function same(what: string, actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) === JSON.stringify(expected)) return;
  throw new Error(`${what}\n  is:       ${JSON.stringify(actual)}\n  must be:  ${JSON.stringify(expected)}`);
}

/** What must hold of one partition after every event. */
export function checkHost({ id, replica, port }: Host, model: Model): void {
  const catalogue = readCatalogue(port);
  same(`partition ${id}: schema version in memory`, replica.schema.version, catalogue.version);
  same(`partition ${id}: schema ${catalogue.version}`, shapeOf(port), model.shapes.get(catalogue.version));
  const { rows } = port.query(
    'SELECT count(*) FROM _atoll_commits a JOIN _atoll_commits b ON b.commit_id = a.commit_id + 1 WHERE b.timestamp <= a.timestamp',
  );
  same(`partition ${id}: log time rises`, rows[0]?.[0], 0);
  const index = replica.isSystem ? replica.feedIndex : replica.systemIndex;
  const tables = catalogue.tables.filter(({ placement }) => placement.kind === 'reference');
  const expected = model.reference.get(index);
  // Between two commits of one group the system partition was never seen.
  if (expected !== undefined) {
    same(`partition ${id}: reference tables at ${index}`, dumpFingerprint(dump(port, tables)), expected);
  }
  const head = readHead(port);
  const open = port.query('SELECT count(*) FROM _atoll_log WHERE seq > ?', head.lastSeq).rows[0]?.[0];
  same(`partition ${id}: images without a commit`, open, 0);
}

/** All rows of all partitions are the model's, each with its owner. */
export function checkRows(hosts: readonly Host[], model: Model): void {
  const version = model.catalogue.version;
  const current = hosts.filter(({ replica }) => replica.schema.version === version);
  if (current.length < hosts.length) return;
  const expected = model.rows();
  const found = current.map(({ port }) => rowsOf(port, model.catalogue));
  for (const table of model.catalogue.tables) {
    const rows = table.placement.kind === 'reference' ? [found[0]] : found.slice(1);
    const all = rows.flatMap((each) => each?.get(table.name) ?? []).sort();
    same(`rows of ${table.name}`, all, expected.get(table.name));
  }
  for (const host of current) checkOwners(host, model.catalogue);
}

function checkOwners({ id, port, replica }: Host, catalogue: Catalogue): void {
  const dumps = dump(port, catalogue.tables);
  for (const table of catalogue.tables) {
    if (table.placement.kind === 'reference') continue;
    const found = dumps.find((each) => each.table === table.name);
    const places = table.placement.key.map(
      (name) => found?.columns.findIndex((each) => each.toLowerCase() === name.toLowerCase()) ?? -1,
    );
    for (const row of found?.rows ?? []) {
      const token = tokenOfKey(
        places.map((place) => row[place] ?? null),
        keyColumns(table),
      );
      same(`partition ${id} owns ${table.name} ${row.join()}`, covers(replica.identity.ranges, token), true);
    }
  }
}

/** The log alone, applied to an empty file, gives the rows and the same log; undone, what was before. Of a log that is whole. */
export function checkLog({ id, port, replica }: Host): void {
  if (readHead(port).firstCommitId > 1) return;
  const copy = new NodeSqlitePort(':memory:', { synchronous: 'OFF' });
  try {
    copy.transaction(() => {
      createFormat(copy);
      if (!replica.isSystem) return;
      for (const table of SYSTEM_TABLES) {
        createInternalTable(copy, table);
        createLog(copy, table);
      }
    });
    const { lastCommitId } = readHead(port);
    const prints: string[] = [];
    let catalogue = EMPTY_CATALOGUE;
    let barrier = 0;
    for (let commit = 1; commit <= lastCommitId; commit++) {
      const entry = readCommit(port, commit as CommitId);
      if (entry === null) throw new Error(`partition ${id}: commit ${commit} is missing`);
      copy.transaction(() => {
        if (entry.header.kind === 'schema') {
          const payload = JSON.parse(String(entry.header.payload));
          const change = (payload.feed === 'schema' ? payload.change : payload) as SchemaChange;
          applySchemaChange(copy, catalogue, change);
          recordSchema(copy, change);
          catalogue = change.catalogue;
          barrier = commit;
        }
        applyCommit(copy, entry);
      });
      prints[commit] = printOf(copy, catalogue, replica.isSystem);
    }
    same(
      `partition ${id}: its log applied`,
      prints[lastCommitId] ?? printOf(copy, catalogue, replica.isSystem),
      printOf(port, catalogue, replica.isSystem),
    );
    const target = Math.max(barrier, Math.min(lastCommitId, lastCommitId - 5));
    undoTo(copy, target as CommitId);
    same(
      `partition ${id}: ${lastCommitId} undone to ${target}`,
      printOf(copy, catalogue, replica.isSystem),
      prints[target] ?? printOf(copy, catalogue, replica.isSystem),
    );
  } finally {
    copy.close();
  }
}

function printOf(port: SqlitePort, catalogue: Catalogue, isSystem: boolean): string {
  const tables = [...BOOKKEEPING, ...(isSystem ? SYSTEM_TABLES : []), ...catalogue.tables];
  return dumpFingerprint(dump(port, tables));
}
