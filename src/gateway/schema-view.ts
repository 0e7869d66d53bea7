import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import type { IndexBuildView } from '../protocol/schema.ts';
import type { CallContext, Database } from './database.ts';
import { executeIn } from './execute.ts';
import { STRONG } from './freshness.ts';
import type { KnownNetwork } from './known-network.ts';
import { READ } from './lost.ts';

/** `GET /v1/schema`: tables, views, triggers, the ledger of migrations, and indexes that are being built. */
export async function schemaView(database: Database, context: CallContext): Promise<unknown> {
  const known = await database.refresh(context);
  const { tables, views, triggers, version } = known.information.catalogue;
  return {
    version,
    tables: tables.map((table) => ({
      id: table.id,
      name: table.name,
      placement: table.placement,
      columns: table.columns.map((column) => ({
        name: column.name,
        type: column.declaredType,
        affinity: column.affinity,
        notNull: column.notNull,
        primaryKey: column.primaryKeyIndex,
      })),
      indexes: table.indexes,
      foreignKeys: known.schema.foreignKeysOf(table),
    })),
    views,
    triggers,
    migrations: await migrations(database, known, context),
    builds: await builds(database, context),
  };
}

async function builds(database: Database, context: CallContext): Promise<readonly IndexBuildView[]> {
  const message = {};
  const reply = await database.ask<{ builds: IndexBuildView[] }>(
    SYSTEM_PARTITION,
    'index-builds',
    message,
    context,
    READ,
  );
  return reply.builds;
}

async function migrations(database: Database, known: KnownNetwork, context: CallContext): Promise<unknown> {
  const sql = `SELECT m.proposal, m.version, m.state, m.error, m.proposed_at, m.decided_at, m.statements,
    (SELECT json_group_array(partition) FROM atoll_migration_partitions p WHERE p.version = m.version AND m.state NOT IN ('proposed', 'withdrawn'))
    FROM atoll_migrations m ORDER BY m.proposal`;
  const work = {
    partition: SYSTEM_PARTITION,
    shape: 'query',
    demand: STRONG,
    read: true,
    statements: [{ sql }],
  } as const;
  const response = await executeIn(database, known, work, context);
  const { rows } = (await response.json()) as { rows: (string | number | null)[][] };
  return rows.map(([proposal, version, state, error, proposedAt, decidedAt, statements, applied]) => ({
    proposal,
    version,
    state,
    error,
    proposedAt,
    decidedAt,
    statements: JSON.parse(String(statements)),
    appliedBy: JSON.parse(String(applied)),
  }));
}
