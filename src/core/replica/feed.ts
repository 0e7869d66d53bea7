import { assert, present } from '../../base/assert.ts';
import type { CommitId, TableId, Timestamp } from '../../base/brand.ts';
import { toBase64 } from '../../protocol/base64.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Feed, FeedEntry } from '../../protocol/feed.ts';
import { REBUILDS_SINCE, RPC_VERSION, unspoken } from '../../protocol/rpc.ts';
import type { LogRetention } from '../../protocol/settings.ts';
import { applyChanges } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { encodeChanges } from '../log/encoding.ts';
import { readCommit } from '../log/read.ts';
import {
  applySchemaChange,
  indexesOnRows,
  isCreatedAlone,
  trySchemaChange,
  withFilling,
} from '../schema/apply-change.ts';
import { FIRST_USER_TABLE_ID } from '../schema/catalogue.ts';
import { isRebuild, type SchemaChange } from '../schema/change.ts';
import { copyLock } from '../transaction/lock.ts';
import type { Holder } from '../transaction/lock-table.ts';
import { readProgress, writeProgress } from './bookkeeping.ts';
import { passRebuiltIds } from './rebuilt-ids.ts';
import { decodeIncoming, decodeReceived } from './received-changes.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
import { writeRetention } from './retention.ts';
import { recordSchema } from './schema-versions.ts';

/** Entries in one message (chosen: a partition that is far behind asks again). */
const ENTRIES_MAX = 256;

/** Payload of the system partition's entries that partitions follow; other entries have none. */
export type FeedPayload =
  | { readonly feed: 'schema'; readonly proposal: number; readonly change: SchemaChange }
  | { readonly feed: 'write'; readonly retention?: LogRetention };

/**
 * Of the system partition: the feed after `from`, for a partition that speaks `version` of the protocol. Indexes are its commit ids.
 *
 * @throws AtollError `unsupported`: an entry comes next that the version does not know
 */
export function readFeed(replica: Replica, from: number, version: number = RPC_VERSION): Feed {
  assert(replica.isSystem, 'only the system partition has a feed');
  const { rows } = replica.port.query(
    `SELECT commit_id FROM _atoll_commits WHERE commit_id > ? AND payload LIKE '{"feed":%' ORDER BY commit_id LIMIT ${ENTRIES_MAX}`,
    from,
  );
  const entries = rows.map(([id]) => readEntry(replica, Number(id) as CommitId));
  const rebuild =
    version < REBUILDS_SINCE
      ? entries.findIndex((entry) => entry.kind === 'schema' && isRebuild(entry.change as SchemaChange))
      : -1;
  if (rebuild === 0) throw unspoken(String(version));
  return { from, entries: rebuild < 0 ? entries : entries.slice(0, rebuild) };
}

/** What a `schema` entry of a log carries: in the system partition what its followers need to know besides. */
export function schemaChangeOf(isSystem: boolean, payload: string | Uint8Array | null): SchemaChange {
  assert(typeof payload === 'string', 'a schema change is JSON');
  const parsed: unknown = JSON.parse(payload);
  if (!isSystem) return parsed as SchemaChange;
  const feed = parsed as FeedPayload;
  assert(feed.feed === 'schema', 'the entry of a schema change');
  return feed.change;
}

function readEntry(replica: Replica, index: CommitId): FeedEntry {
  const commit = present(readCommit(replica.port, index), () => `feed entry ${index} is gone`);
  const payload = JSON.parse(String(commit.header.payload)) as FeedPayload;
  if (payload.feed === 'schema') {
    return { index, kind: 'schema', proposal: payload.proposal, change: payload.change };
  }
  const { retention } = payload;
  return {
    index,
    kind: 'write',
    changes: toBase64(encodeChanges(commit.changes.filter(isOfReferenceTable))),
    timestamp: commit.header.commitTimestamp ?? commit.header.timestamp,
    ...(retention !== undefined && { retention }),
    ...(commit.header.transactionId !== null && { transaction: commit.header.transactionId }),
  };
}

/**
 * Of the changes in the system partition's log. Users' tables have rows there only as reference tables: their ids
 * tell, whatever has become of the table since.
 */
function isOfReferenceTable(change: Change): boolean {
  return change.tableId >= FIRST_USER_TABLE_ID;
}

/** Whether the system partition's open transaction has changed a reference table, so that its entry belongs to the feed. */
export function changesReference(changes: readonly Change[]): boolean {
  return changes.some(isOfReferenceTable);
}

/**
 * Applies what follows this partition's place in the feed; entries it has are skipped, so that a repeat does
 * no harm. False, and nothing done, when entries between are missing: pull them first.
 */
export function applyFeed(replica: Replica, feed: Feed, now: number): boolean {
  assert(!replica.isSystem, 'the system partition does not follow itself');
  if (feed.from > replica.systemIndex) return false;
  for (const entry of feed.entries) {
    if (entry.index <= replica.systemIndex) continue;
    try {
      replica.port.transaction(() => {
        applyEntry(replica, entry);
        writeProgress(replica.port, 'system_index', entry.index);
        replica.append(entry.kind === 'schema' ? 'schema' : 'write', payloadOf(entry), now, {
          transactionId: null,
          commitTimestamp: countsFrom(replica, entry, now),
        });
      });
    } finally {
      replica.reload();
    }
  }
  return true;
}

/**
 * Prepared transactions that the feed must wait for: those that have read a reference table which it changes, but for the one that
 * changes it, and all of them before it changes the schema.
 */
export function feedHolders({ locks, systemIndex }: Replica, feed: Feed): readonly Holder[] {
  if (locks.isEmpty) return [];
  const holders = new Set<Holder>();
  for (const entry of feed.entries) {
    if (entry.index <= systemIndex) continue;
    if (entry.kind === 'schema') return locks.holders;
    const needed = decodeReceived(entry.changes).map(({ tableId }) => copyLock(tableId, true));
    for (const holder of locks.preparedBlockers(needed, entry.transaction ?? null)) holders.add(holder);
  }
  return [...holders];
}

/**
 * Reference rows count from when they were written, so that reads of one past moment see the same of them in every
 * partition. Null, and so from now, where this clock is too far behind to take notice of that. A schema counts from where
 * it is applied: entries before it have images of the former one.
 */
function countsFrom({ clock }: Replica, entry: FeedEntry, now: number): Timestamp | null {
  if (entry.kind === 'schema' || entry.timestamp === undefined) return null;
  return clock.receive(entry.timestamp, now).kind === 'received' ? entry.timestamp : null;
}

function payloadOf(entry: FeedEntry): string {
  if (entry.kind === 'schema') return JSON.stringify(entry.change);
  return JSON.stringify({ system: entry.index, retention: entry.retention });
}

function applyEntry(replica: Replica, entry: FeedEntry): void {
  const { port } = replica;
  if (entry.kind === 'write') {
    applyChanges(port, decodeIncoming(port, entry.changes));
    if (entry.retention !== undefined) writeRetention(port, entry.retention);
    return;
  }
  const change = entry.change as SchemaChange;
  assert(
    change.version === replica.schema.version + 1,
    () => `schema ${change.version} after ${replica.schema.version}`,
  );
  const before = replica.schema;
  applySchemaChange(port, before.catalogue, change);
  recordSchema(port, change);
  passRebuiltIds(replica, before, change);
  if (readProgress(port, 'hold') === entry.proposal) writeProgress(port, 'hold', null);
  replica.schemaApplied(change.catalogue);
}

export type CheckResult =
  /** `filling`: new indexes over partitions of tables that have rows here. */
  | { readonly kind: 'passed'; readonly filling: readonly TableId[] }
  | { readonly kind: 'failed'; readonly error: unknown };

/**
 * First half of a schema change in a partition: runs it, undoes it, and holds writes from now on, so that what was
 * checked stays true until the change is published or withdrawn.
 */
export function checkSchemaChange(
  replica: Replica,
  proposal: number,
  change: SchemaChange,
  now: number,
): CheckResult {
  const { port, schema, hold } = replica;
  if (change.version !== schema.version + 1 || (hold !== null && hold > proposal)) {
    // The message was late, or came twice: a later proposal may rest on this partition's hold.
    return {
      kind: 'failed',
      error: new AtollError('schema-conflict', 'the proposal has been decided already'),
    };
  }
  const filling = indexesOnRows(port, schema.catalogue, change.catalogue)
    .filter((index) => isCreatedAlone(index, change.catalogue))
    .map(({ table }) => table.id);
  try {
    rehearse(port, () => trySchemaChange(port, schema.catalogue, withFilling(change, filling)));
  } catch (error) {
    return { kind: 'failed', error };
  }
  if (hold !== proposal) setHold(replica, proposal, now);
  return { kind: 'passed', filling };
}

/** Logged, since whoever leads after this must hold as well. */
export function setHold(replica: Replica, proposal: number | null, now: number): void {
  replica.port.transaction(() => {
    writeProgress(replica.port, 'hold', proposal);
    replica.append('lock', null, now);
  });
  replica.reload();
}
