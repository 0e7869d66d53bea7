import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { PartitionId, SchemaVersion, TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { IndexBuildView, IndexFillReply } from '../../protocol/schema.ts';
import type { Catalogue } from '../schema/catalogue.ts';
import { planSchemaChange } from '../schema/plan-change.ts';
import type { Index, Table } from '../schema/table.ts';
import { enforced, type UniqueIndex } from '../schema/unique-index.ts';
import { parseStatement } from '../sql/parse.ts';
import { quoteName } from '../sqlite/quote.ts';
import { rehearse } from './rehearse.ts';
import type { System } from './system.ts';

/**
 * Indexes over partitions that are built over rows that are there, in the states of Rae et al., "Online, Asynchronous Schema
 * Change in F1", VLDB 2013, section 3: a version of the schema has writes keep the index (write-only), rows get their entries in
 * the background, and another version has it enforced, or takes it back. How far it is, the system partition's settings say.
 */

const PREFIX = 'build:';

interface Progress extends IndexFillReply {
  readonly partition: PartitionId;
}

interface BuildRecord {
  readonly index: TableId;
  /** In the ledger; null: a recovery has lost it. */
  readonly proposal: number | null;
  /** Of the database: progress of before a recovery does not count, since entries may be lost. */
  readonly history: string;
  readonly progress: readonly Progress[];
}

export interface IndexBuild extends BuildRecord {
  /** Null: the index was dropped. */
  readonly definition: UniqueIndex | null;
}

/** In the publication of a change, whose transaction is open: notes the builds that begin with it. False: there are none. */
export function beginBuilds(system: System, proposal: number, { uniques = [] }: Catalogue): boolean {
  const { catalogue } = system.replica.schema;
  const before = new Set(catalogue.uniques?.map(({ table }) => table.id));
  const fresh = uniques.filter(({ table, state }) => state === 'filling' && !before.has(table.id));
  for (const { table } of fresh)
    keep(system, { index: table.id, proposal, history: historyOf(system), progress: [] });
  return fresh.length > 0;
}

/** All that are not over. */
export function buildsUnderWay(system: System): IndexBuild[] {
  const { port, schema } = system.replica;
  const history = historyOf(system);
  const { rows } = port.query(`SELECT value FROM _atoll_settings WHERE name GLOB '${PREFIX}*' ORDER BY name`);
  const records = rows.map(([value]) => JSON.parse(String(value)) as BuildRecord);
  const filling = schema.catalogue.uniques?.filter(({ state }) => state === 'filling') ?? [];
  const unknown = filling.filter(({ table }) => !records.some(({ index }) => index === table.id));
  return [
    ...records.map((record) => ({
      ...record,
      history,
      progress: record.history === history ? record.progress : [],
      definition: filling.find(({ table }) => table.id === record.index) ?? null,
    })),
    ...unknown.map((definition) => ({
      index: definition.table.id,
      proposal: null,
      history,
      progress: [],
      definition,
    })),
  ];
}

/** Hidden tables of the builds that make what these statements create. */
export function buildsOf(system: System, sources: readonly string[]): TableId[] {
  const created = sources.flatMap((source) => {
    const { statement } = parseStatement(source);
    return statement.kind === 'create-index' ? [asciiLower(statement.name.name.name)] : [];
  });
  const { tables } = system.replica.schema.catalogue;
  return buildsUnderWay(system).flatMap(({ index, definition }) => {
    const owner = tables.find(({ id }) => id === definition?.of);
    if (owner === undefined || definition === null) return [];
    return servedBy(definition, owner).some(({ name }) => created.includes(asciiLower(name))) ? [index] : [];
  });
}

/** The unique indexes of a table that need it. */
function servedBy({ columns }: UniqueIndex, owner: Table): readonly Index[] {
  const shape = (names: readonly (string | null)[]) =>
    JSON.stringify(names.map((name) => name && asciiLower(name)));
  return owner.indexes.filter((index) => index.unique && shape(index.columns) === shape(columns));
}

/** Where the partition's next page begins; null: all of its rows are done. */
export function nextPage({ progress }: IndexBuild, partition: PartitionId): { after: string | null } | null {
  const own = progress.find((each) => each.partition === partition);
  if (own === undefined) return { after: null };
  return own.after === null ? null : { after: own.after };
}

/** A partition has gone through more rows, from `from` on; nothing if another request for them was faster. */
export function noteProgress(
  system: System,
  index: TableId,
  partition: PartitionId,
  from: string | null,
  { rows, after }: IndexFillReply,
  now: number,
): void {
  const build = buildsUnderWay(system).find((each) => each.index === index);
  if (build === undefined || nextPage(build, partition)?.after !== from) return;
  const { definition: _, ...record } = build;
  const before = record.progress.find((each) => each.partition === partition)?.rows ?? 0;
  const others = record.progress.filter((each) => each.partition !== partition);
  const progress = [...others, { partition, rows: before + rows, after }];
  system.change(now, () => keep(system, { ...record, progress }));
}

/** Every row has its entry: from now on the index is one like others. */
export function enforceIndex(system: System, build: IndexBuild, now: number): void {
  const { catalogue } = system.replica.schema;
  const version = (catalogue.version + 1) as SchemaVersion;
  const uniques = (catalogue.uniques ?? []).map((index) =>
    index.table.id === build.index ? enforced(index) : index,
  );
  const change = { version, statements: [], mustBeEmpty: [], catalogue: { ...catalogue, version, uniques } };
  system.impose(change, () => end(system, build, 'published', null, now), now);
}

/** Takes the index back, and what the users call it: two rows have the same values. */
export function dropIndex(system: System, build: IndexBuild, error: string, now: number): void {
  const { port, schema } = system.replica;
  const definition = present(build.definition, 'an index that is there');
  const owner = present(
    schema.catalogue.tables.find(({ id }) => id === definition.of),
    'an index is of a table',
  );
  const drops = servedBy(definition, owner).map(({ name }) => `DROP INDEX ${quoteName(name)}`);
  const change = present(
    rehearse(port, () => planSchemaChange(port, schema.catalogue, drops, now)),
    'dropping an index changes something',
  );
  system.impose(change, () => end(system, build, 'failed', error, now), now);
}

/** Somebody else has dropped it. */
export function forgetBuild(system: System, build: IndexBuild, now: number): void {
  system.change(now, () => end(system, build, 'failed', DROPPED, now));
}

const DROPPED = 'the index was dropped while it was built';

export function droppedError(): AtollError {
  return new AtollError('schema-conflict', DROPPED, 'none');
}

/** For people who wait. */
export function viewBuilds(system: System): IndexBuildView[] {
  const { tables } = system.replica.schema.catalogue;
  const partitions = system.partitionIds().length;
  return buildsUnderWay(system).flatMap(({ proposal, definition, progress }): IndexBuildView[] => {
    if (definition === null) return [];
    const owner = tables.find(({ id }) => id === definition.of);
    return [
      {
        proposal,
        table: owner?.name ?? '',
        columns: definition.columns,
        rows: progress.reduce((sum, { rows }) => sum + rows, 0),
        partitionsDone: progress.filter(({ after }) => after === null).length,
        partitions,
      },
    ];
  });
}

function end(
  { replica }: System,
  { index, proposal }: IndexBuild,
  state: 'published' | 'failed',
  error: string | null,
  now: number,
): void {
  replica.port.query('DELETE FROM _atoll_settings WHERE name = ?', `${PREFIX}${index}`);
  if (proposal === null) return;
  replica.port.query(
    'UPDATE atoll_migrations SET state = ?, error = ?, decided_at = ? WHERE proposal = ?',
    state,
    error,
    new Date(now).toISOString(),
    proposal,
  );
}

function keep(system: System, record: BuildRecord): void {
  system.set(`${PREFIX}${record.index}`, JSON.stringify(record));
}

function historyOf(system: System): string {
  return present(system.setting('history'), 'a database has a history');
}
