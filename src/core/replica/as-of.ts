import { asciiLower } from '../../base/ascii.ts';
import type { Timestamp } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { timeOf } from '../clock/moment.ts';
import { countImages, oldestMoment, type Past, pastAt, undoToPast } from '../log/as-of.ts';
import type { CommitKind } from '../log/commit.ts';
import { readLayouts } from '../log/layout.ts';
import type { Schema } from '../schema/catalogue.ts';
import { viewSelect } from '../sql/analysis/view.ts';
import type { Node, Statement } from '../sql/ast.ts';
import { findAll } from '../sql/walk.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import type { ExecuteOutcome } from './outcome.ts';
import { preparedBefore } from './prepared.ts';
import type { Ready } from './prepared-statements.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';

/** Images that one request may have undone (chosen: some seconds at most, in which the partition does nothing else). */
export const UNDONE_IMAGES_MAX = 200_000;

/** What `read` answers when all that the statements read is as it was at `at`; or that it must wait. */
export function serveAsOf(
  replica: Replica,
  at: Timestamp,
  now: number,
  statements: readonly { readonly ready: Ready }[],
  read: () => string,
): ExecuteOutcome {
  if (statements.some(({ ready }) => ready.access === 'write')) {
    throw new AtollError('bad-request', 'asOf is for reads: leave it out of what writes');
  }
  const waits = passMoment(replica, at, now);
  if (waits !== null) return waits;
  const tables = tablesRead(
    replica.schema,
    statements.map(({ ready }) => ready.parsed.statement),
  );
  return { kind: 'done', body: readPast(replica, at, tables, read) };
}

/**
 * Sees to it that nothing can change any more at this replica what was there at `at`; an outcome if it must wait for
 * that. A follower must have applied the log beyond `at`. A leader's clock takes notice of `at`, so that all that it still
 * commits is later; since that memory ends with it, an entry carries the log beyond `at` as well. Whoever leads next
 * starts above it.
 *
 * @throws AtollError for a moment that never was here, is forgotten, or is to come
 */
function passMoment(replica: Replica, at: Timestamp, now: number): ExecuteOutcome | null {
  const { port, follows, last } = replica;
  const oldest = oldestMoment(port);
  if (oldest !== null && at < oldest) {
    // Another replica's log may reach further back.
    if (follows) return { kind: 'behind' };
    throw historyGone(replica, oldest, 'the log does not reach further back');
  }
  const passed = at <= last.time;
  if (!passed && follows) return { kind: 'behind' };
  if (!passed) takeNotice(replica, at, now);
  // Whether they are of then or later is not decided yet; those that are still to be prepared are later.
  const holders = preparedBefore(port, at);
  if (holders.length > 0) return follows ? { kind: 'behind' } : { kind: 'locked', holders };
  if (!passed) replica.append('noop', null, now);
  return null;
}

function takeNotice({ clock, identity }: Replica, at: Timestamp, now: number): void {
  const receipt = clock.receive(at, now);
  if (receipt.kind === 'received') return;
  if (receipt.kind === 'malformed') throw new AtollError('bad-request', `'${at}' is no timestamp`);
  const { aheadMs, limitMs } = receipt;
  throw new AtollError(
    'bad-request',
    `the moment asked for is still to come: it is ${aheadMs} ms ahead of the clock of partition ${identity.partition}, ` +
      `and ${limitMs} ms are allowed`,
  );
}

/**
 * What `read` finds when the rows of `tables` (names in lower case) are as they were at `at`, which the replica has passed.
 * Nothing of that stays.
 *
 * @throws AtollError where the log cannot tell the past, or not with bounded work
 */
function readPast<T>(replica: Replica, at: Timestamp, tables: ReadonlySet<string>, read: () => T): T {
  const { port } = replica;
  const past = pastAt(port, at);
  if (past.barrier !== null) throw historyGone(replica, past.barrier.timestamp, WHY[past.barrier.kind] ?? '');
  const layouts = layoutsOf(port, tables);
  // Nothing newer is there: the rows are those of then.
  if (past.images.length === 0 || layouts.size === 0) return read();
  boundWork(replica, past, layouts);
  return rehearse(port, () => {
    undoToPast(port, past, layouts);
    return read();
  });
}

/** By the barrier. */
const WHY: Partial<Record<CommitKind, string>> = {
  schema: 'the schema was changed then, and the schema of the past is not kept',
  config: 'the partition was made anew then, from a copy',
  split: 'its keys were divided then',
};

function boundWork({ port, identity }: Replica, past: Past, layouts: ReadonlySet<number>): void {
  // All images together are known without looking, and nearly always few.
  const all = past.images.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  if (all <= UNDONE_IMAGES_MAX || countImages(port, past, layouts, UNDONE_IMAGES_MAX) <= UNDONE_IMAGES_MAX)
    return;
  throw new AtollError(
    'result-too-large',
    `partition ${identity.partition} would have to undo more than ${UNDONE_IMAGES_MAX} changes of rows of the tables read: ` +
      'ask for a later moment',
  );
}

function historyGone({ identity }: Replica, oldest: Timestamp, why: string): AtollError {
  const { partition } = identity;
  return new AtollError(
    'history-gone',
    `the oldest moment that partition ${partition} can be read as of is ${timeOf(oldest)} (${oldest}): ${why}`,
    'none',
    { partition, oldest },
  );
}

/** Tables and Atoll's own that statements name, in lower case, views expanded; and perhaps more, which does no harm. */
function tablesRead(schema: Schema, statements: readonly Statement[]): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (node: Node): void => {
    for (const { name } of findAll(node, 'table')) {
      const lower = asciiLower(name.name);
      if (names.has(lower)) continue;
      names.add(lower);
      const view = schema.view(lower);
      if (view !== undefined) add(viewSelect(view));
    }
  };
  for (const statement of statements) add(statement);
  return names;
}

function layoutsOf(port: SqlitePort, tables: ReadonlySet<string>): ReadonlySet<number> {
  const found = new Set<number>();
  for (const { layout, table, current } of readLayouts(port).values())
    if (current && tables.has(asciiLower(table))) found.add(layout);
  return found;
}
