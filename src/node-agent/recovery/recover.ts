import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { present } from '../../base/assert.ts';
import type { Epoch, PartitionId } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { parseTimestamp } from '../../core/clock/timestamp.ts';
import type { Identity } from '../../core/replica/identity.ts';
import {
  aboveGivenIds,
  emptyPartitionFrom,
  type RecoveredPartition,
  type Recovery,
  rangeOfLost,
  recoverPartition,
  recoverSystem,
} from '../../core/replica/recovery.ts';
import {
  assembleFeed,
  catchUpPartition,
  catchUpSystem,
  type FeedRun,
  feedRunOf,
} from '../../core/replica/recovery-feed.ts';
import type { Replica } from '../../core/replica/replica.ts';
import { System } from '../../core/replica/system.ts';
import { SqliteError } from '../../core/sqlite/port.ts';
import type { FeedEntry } from '../../protocol/feed.ts';
import type { WireRange } from '../../protocol/network.ts';
import { generateHostKey, importHostKey } from '../../rpc/host-key.ts';
import { AgentError } from '../agent-error.ts';
import { DataDirectory, partitionFile, syncDirectory } from '../data-directory.ts';
import {
  type Candidate,
  type Divergence,
  examine,
  longest,
  type Unusable,
  withReplica,
} from './candidate.ts';
import type { RecoveredCopy, RecoveryReport } from './report.ts';
import { copyDatabase, SourceDirectory } from './source-directory.ts';

export interface RecoverOptions {
  /** Directories of agents, none of them running. */
  readonly data: readonly string[];
  /** The new data directory: not there yet, or empty. */
  readonly to: string;
  /** Go on without the rows of partitions that have no copy. */
  readonly acceptLoss: boolean;
  readonly database: string;
  readonly now: () => number;
  /** What is being done. */
  readonly onStep: (step: string) => void;
}

/**
 * Makes a data directory that an agent can lead from, out of agents' copies. It is made under another name beside its place
 * and renamed when all of it is on disk: until then there is nothing, and the next run begins anew.
 *
 * @throws AgentError for what the operator must decide
 */
export async function recover(options: RecoverOptions): Promise<RecoveryReport> {
  const to = resolve(options.to);
  if (existsSync(to) && readdirSync(to).length > 0)
    throw new AgentError(`${to} is not empty`, 'name a new directory with --to');
  const sources: SourceDirectory[] = [];
  try {
    for (const each of new Set(options.data.map((path) => resolve(path))))
      sources.push(SourceDirectory.open(each));
    const working = DataDirectory.open(`${to}.recovering`);
    let report: RecoveryReport;
    try {
      clear(working.path);
      report = await recoverInto(working, sources, options);
    } catch (error) {
      rmSync(working.path, { recursive: true, force: true });
      throw isFull(error) ? noRoom(working.path) : error;
    } finally {
      working.close();
    }
    renameSync(working.path, to);
    syncDirectory(dirname(to));
    return report;
  } finally {
    for (const source of sources) source.close();
  }
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT' || (error instanceof SqliteError && error.kind === 'full');
}

function noRoom(path: string): AgentError {
  return new AgentError(
    `there is no room for the copies in ${dirname(path)}; what was written is removed`,
    'name a --to on a disk that has room for all the files in the --data directories',
  );
}

/** What a run that was interrupted has left. */
function clear(path: string): void {
  for (const name of readdirSync(path))
    if (!name.startsWith('lock')) rmSync(join(path, name), { recursive: true, force: true });
}

async function recoverInto(
  working: DataDirectory,
  sources: readonly SourceDirectory[],
  { database, acceptLoss, now, onStep }: RecoverOptions,
): Promise<RecoveryReport> {
  const key = await generateHostKey();
  const { host } = await importHostKey(key);
  onStep('reading the copies');
  const { copies, unusable } = readCopies(working.path, sources, database);
  const choice = choose(copies, sources);
  const { system } = choice;
  const formerHistory = system.history;
  const listed = withSystem(system.file, readPartitions);
  const missing = listed.filter(({ partition }) => !choice.chosen.has(partition));
  if (missing.length > 0 && !acceptLoss) throw noCopies(missing);
  onStep('bringing them to one state');
  const feed = missingFeed([system, ...choice.chosen.values()], copies);

  const feedIndex = withSystem(system.file, (opened) => {
    catchUpSystem(opened, after(feed, system.feedIndex), now());
    return opened.replica.feedIndex;
  });
  const recovery: Recovery = { history: crypto.randomUUID(), host, feedIndex };
  const given = givenIn([...choice.chosen.values()], listed);
  const partitions = listed.map(({ partition, identifiers }): RecoveredPartition => {
    const copy = choice.chosen.get(partition);
    const above = given.get(partition) ?? 0;
    if (copy === undefined) return { partition, identifiers: rangeOfLost(identifiers, above) };
    const recovered = withOpen(copy.file, (replica) => {
      catchUpPartition(replica, after(feed, copy.feedIndex), now());
      return recoverPartition(replica, recovery, now(), above);
    });
    return { partition, identifiers: recovered };
  });
  const systemIds = withSystem(system.file, (opened) => {
    recoverSystem(opened, recovery, partitions, now());
    return opened.replica.identity.identifiers;
  });

  onStep('writing the new directory');
  const place = (partition: PartitionId): string => partitionFile(working.path, { database, partition });
  mkdirSync(dirname(place(SYSTEM_PARTITION)), { recursive: true, mode: 0o700 });
  for (const copy of [system, ...choice.chosen.values()]) renameSync(copy.file, place(copy.partition));
  for (const { partition, epoch, ranges } of missing) {
    const { identifiers } = present(
      partitions.find((each) => each.partition === partition),
      'every listed partition is recovered',
    );
    copyDatabase(place(SYSTEM_PARTITION), place(partition));
    withOpen(place(partition), (replica) =>
      emptyPartitionFrom(replica, { partition, epoch, ranges, identifiers }, feedIndex),
    );
  }
  rmSync(candidatesOf(working.path), { recursive: true, force: true });

  const idsFrom = new Map(partitions.map(({ partition, identifiers }) => [partition, identifiers.start]));
  const copyOf = (partition: PartitionId, ranges: readonly WireRange[]): RecoveredCopy => {
    const copy = partition === SYSTEM_PARTITION ? system : (choice.chosen.get(partition) ?? null);
    const time = copy === null ? null : parseTimestamp(copy.position.timestamp);
    return {
      partition,
      source: copy?.source ?? null,
      commit: copy?.position.commitId ?? null,
      time: time === null ? null : new Date(time.milliseconds).toISOString(),
      caughtUp: copy === null ? 0 : after(feed, copy.feedIndex).length,
      ranges,
      idsFrom: partition === SYSTEM_PARTITION ? systemIds.start : (idsFrom.get(partition) ?? 0),
    };
  };
  const report: RecoveryReport = {
    database,
    formerHistory,
    history: recovery.history,
    host,
    recoveredAt: new Date(now()).toISOString(),
    partitions: [
      copyOf(SYSTEM_PARTITION, []),
      ...listed.map(({ partition, ranges }) => copyOf(partition, ranges)),
    ],
    unusable,
    diverged: choice.diverged,
  };
  writeFileSync(join(working.path, 'recovery.json'), `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
  for (const { partition } of report.partitions) syncFile(place(partition));
  syncFile(join(working.path, 'recovery.json'));
  syncDirectory(dirname(place(SYSTEM_PARTITION)));
  // Durable with the directory that it is in.
  working.setHost({ key, name: host, cluster: { database, history: recovery.history } });
  return report;
}

function candidatesOf(path: string): string {
  return join(path, 'candidates');
}

function readCopies(
  path: string,
  sources: readonly SourceDirectory[],
  database: string,
): { copies: Candidate[]; unusable: Unusable[] } {
  const copies: Candidate[] = [];
  const unusable: Unusable[] = [];
  for (const [index, source] of sources.entries()) {
    for (const file of source.files(database)) {
      const found = examine(file, join(candidatesOf(path), `${index}`, basename(file.path)));
      if ('reason' in found) unusable.push(found);
      else copies.push(found);
    }
  }
  return { copies, unusable };
}

interface Choice {
  readonly system: Candidate;
  /** By partition; those of users. */
  readonly chosen: ReadonlyMap<PartitionId, Candidate>;
  readonly diverged: readonly Divergence[];
}

function choose(copies: readonly Candidate[], sources: readonly SourceDirectory[]): Choice {
  const byPartition = Map.groupBy(copies, ({ partition }) => partition);
  const systems = byPartition.get(SYSTEM_PARTITION);
  if (systems === undefined) {
    throw new AgentError(
      `no whole copy of partition 0 is in ${sources.map(({ path }) => path).join(', ')}: it tells which partitions there are`,
      'name the directory of another agent too, with --data: every member of a cluster has one',
    );
  }
  const histories = Map.groupBy(copies, ({ history }) => history);
  if (histories.size > 1) {
    const list = [...histories].map(
      ([history, of]) => `${history} (${of.map(({ source }) => source).join(', ')})`,
    );
    throw new AgentError(
      `the copies are of different histories, which cannot be put together: ${list.join('; ')}`,
      'name directories of one cluster only',
    );
  }
  const diverged: Divergence[] = [];
  const chosen = new Map<PartitionId, Candidate>();
  for (const [partition, of] of byPartition) {
    const best = longest(of);
    diverged.push(...best.diverged);
    chosen.set(partition, best.chosen);
  }
  const system = present(chosen.get(SYSTEM_PARTITION), 'partition 0 was found');
  chosen.delete(SYSTEM_PARTITION);
  return { system, chosen, diverged };
}

interface Listed {
  readonly partition: PartitionId;
  readonly epoch: Epoch;
  readonly ranges: readonly WireRange[];
  readonly identifiers: Identity['identifiers'];
}

/** Of each partition's range of ids: above those that clients have given to rows, in whatever copy these are. */
function givenIn(copies: readonly Candidate[], listed: readonly Listed[]): Map<PartitionId, number> {
  const given = new Map<PartitionId, number>();
  for (const { file } of copies)
    withOpen(file, (replica) => {
      for (const { partition, identifiers } of listed)
        given.set(partition, Math.max(given.get(partition) ?? 0, aboveGivenIds(replica, identifiers)));
    });
  return given;
}

function readPartitions(system: System): Listed[] {
  const { rows } = system.replica.port.query('SELECT partition, id_start, id_end FROM atoll_partitions');
  const identifiers = new Map(
    rows.map(([id, start, end]) => [Number(id), { start: Number(start), end: Number(end) }]),
  );
  return system.network().partitions.map(({ id, epoch, ranges }) => ({
    partition: id,
    epoch,
    ranges,
    identifiers: present(identifiers.get(id), 'a listed partition has its ids'),
  }));
}

/** 32-bit tokens, the last excluded, as in `atoll_ranges`. */
function noCopies(missing: readonly Listed[]): AgentError {
  const list = missing.map(({ partition, ranges }) => {
    const tokens = ranges.map(({ start, end }) => `${start} to ${end - 1}`).join(', ');
    return `partition ${partition} (tokens ${tokens})`;
  });
  return new AgentError(
    `no whole copy is left of ${list.join('; ')}: all rows whose partition key has such a token would be lost`,
    'name the directories of more agents with --data, or give up these rows with --accept-loss',
  );
}

/**
 * What some of the chosen copies lack of the feed, from whichever copy has it.
 *
 * @throws AgentError when no copy has it
 */
function missingFeed(chosen: readonly Candidate[], copies: readonly Candidate[]): readonly FeedEntry[] {
  const upTo = Math.max(...chosen.map(({ feedIndex }) => feedIndex));
  const from = Math.min(...chosen.map(({ feedIndex }) => feedIndex));
  if (from === upTo) return [];
  const feed = assembleFeed(copies.map(runOf), from, upTo);
  if ('entries' in feed) return feed.entries;
  const { missingAfter } = feed;
  const behind = chosen.filter(({ feedIndex }) => feedIndex <= missingAfter);
  const list = behind.map(
    ({ partition, source, feedIndex }) => `partition ${partition} at ${feedIndex} (${source})`,
  );
  throw new AgentError(
    `the copies do not fit together: the system partition's log goes up to ${upTo}, and no copy has what follows ` +
      `${missingAfter}, which these lack: ${list.join(', ')}`,
    'name the directories of more agents with --data; or leave the files of these partitions out, and give up their rows with --accept-loss',
  );
}

function runOf({ file }: Candidate): FeedRun {
  const { after: start, upTo } = withOpen(file, feedRunOf);
  return { after: start, upTo, read: (from) => withOpen(file, (replica) => feedRunOf(replica).read(from)) };
}

function after(feed: readonly FeedEntry[], from: number): readonly FeedEntry[] {
  return feed.filter(({ index }) => index > from);
}

function withOpen<T>(file: string, body: (replica: Replica) => T): T {
  return withReplica(file, (replica) => body(present(replica, 'a copy that was examined')));
}

function withSystem<T>(file: string, body: (system: System) => T): T {
  return withOpen(file, (replica) => body(System.open(replica)));
}

/** A copy's pages that SQLite has not written were never made durable. */
function syncFile(file: string): void {
  const descriptor = openSync(file, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
