import { AssertionError, assert, present } from '../../base/assert.ts';
import { SqliteError, type SqlitePort } from '../sqlite/port.ts';
import { append } from './append.ts';
import type { Change, CommitHeader } from './commit.ts';
import { imageBytes, sameChanges } from './encoding.ts';
import { PAGE_BYTES, readChanges } from './image.ts';
import { type Layout, type Layouts, layoutOf, readLayouts } from './layout.ts';
import { readCapturedPages } from './read.ts';
import { replaying } from './replay.ts';
import { insertRows } from './rows.ts';
import { newestSeq, readHead } from './tables.ts';

/**
 * A change does not fit the rows that it meets. A defect of whoever applies a log; expected by who applies changes that were
 * captured on an earlier state.
 */
export class MisfitError extends AssertionError {
  override name = 'MisfitError';
}

/** A commit to apply; its changes may come page by page from a generator and are gone through once. */
export interface AppliedCommit {
  readonly header: CommitHeader;
  readonly changes: Iterable<Change>;
}

/**
 * Applies the next commit to a replica: its rows, and its entry in the replica's own log, which then is
 * byte for byte (under the encoding) the leader's. DDL of a `schema` commit is the caller's, before this, in the
 * same transaction. What it does to rows of other tables (DROP TABLE deletes its rows, and foreign keys act) is
 * logged here as it was at the leader, where DDL comes first too; the changes that follow are applied.
 * A defect, and nothing changed, if the commit is not the next one or a row is not as its before-image says.
 */
export function applyCommit(port: SqlitePort, { header, changes }: AppliedCommit): void {
  port.transaction(() => {
    const { lastCommitId } = readHead(port);
    checkNext(header, lastCommitId);
    applyChanges(port, header.kind === 'schema' ? withoutCaptured(port, changes) : changes);
    append(port, header, true);
  });
}

/**
 * As {@link applyCommit} for commits in their order, none of them of kind `schema`, inside a transaction: what one commit costs
 * besides its rows is done once for all. The caller rolls back when it throws.
 */
export function applyCommits(port: SqlitePort, commits: Iterable<AppliedCommit>): void {
  let { lastCommitId }: { lastCommitId: number } = readHead(port);
  applying(port, (apply) => {
    for (const { header, changes } of commits) {
      assert(header.kind !== 'schema', 'a schema change is applied by itself');
      checkNext(header, lastCommitId);
      apply(changes);
      append(port, header, true);
      lastCommitId++;
    }
  });
}

function checkNext({ commitId }: CommitHeader, last: number): void {
  assert(commitId === last + 1, () => `commit ${commitId} after ${last}`);
}

/**
 * Makes changes that were captured elsewhere or earlier part of the commit being made: a replica's entry, a
 * prepared transaction, a statement of an interactive one. They are logged as they are in `changes`.
 * Inside a transaction.
 *
 * @throws MisfitError if a row is not as its before-image says
 */
export function applyChanges(port: SqlitePort, changes: Iterable<Change>): void {
  applying(port, (apply) => apply(changes));
}

function applying(port: SqlitePort, body: (apply: (changes: Iterable<Change>) => void) => void): void {
  const layouts = readLayouts(port);
  replaying(port, (replay) => {
    let logged = newestSeq(port);
    body((changes) => {
      for (const page of pagesOf(changes))
        for (const { run, creates } of runsOf(page)) {
          if (creates !== null && insertBulk(port, currentLayout(layouts, creates), run)) {
            logged += run.length;
            continue;
          }
          for (const change of run) {
            if (replay.forward(currentLayout(layouts, change), change)) continue;
            throw new MisfitError(`${layoutOf(layouts, change).table}: a change meets a row that it did not`);
          }
          logged = checkLogged(port, layouts, run, logged);
        }
    });
  });
}

/** Creates in a row from which on they are inserted by statements of many rows (chosen). */
const BULK = 8;

function currentLayout(layouts: Layouts, change: Change): Layout {
  const layout = layoutOf(layouts, change);
  assert(layout.current, () => `layout ${change.layout} is not current`);
  return layout;
}

/** Changes by about {@link PAGE_BYTES}. */
function* pagesOf(changes: Iterable<Change>): Generator<Change[]> {
  let page: Change[] = [];
  let bytes = 0;
  for (const change of changes) {
    page.push(change);
    bytes += imageBytes(change.before) + imageBytes(change.after);
    if (bytes <= PAGE_BYTES) continue;
    yield page;
    page = [];
    bytes = 0;
  }
  if (page.length > 0) yield page;
}

interface Run {
  readonly run: readonly Change[];
  /** One of the run, if all are creates of the same layout. */
  readonly creates: Change | null;
}

/** A page in its order: {@link BULK} creates of a table or more, and what lies between such. */
function* runsOf(page: readonly Change[]): Generator<Run> {
  let start = 0;
  for (let from = 0; from < page.length; ) {
    const to = endOfCreates(page, from);
    if (to - from < BULK) {
      from = Math.max(to, from + 1);
      continue;
    }
    if (start < from) yield { run: page.slice(start, from), creates: null };
    yield { run: page.slice(from, to), creates: page[from] ?? null };
    start = to;
    from = to;
  }
  if (start < page.length) yield { run: page.slice(start), creates: null };
}

function endOfCreates(page: readonly Change[], from: number): number {
  const layout = page[from]?.layout;
  let to = from;
  while (page[to]?.type === 'create' && page[to]?.layout === layout) to++;
  return to;
}

/**
 * Inserts rows that the log saw created one after another; false, and nothing done, where a constraint is in the way,
 * which one by one may be suspended. A row that comes has no before-image to be equal to, and SQLite
 * stores values that it has stored before as they are: so their number is all that is left to check.
 */
function insertBulk(port: SqlitePort, layout: Layout, creates: readonly Change[]): boolean {
  try {
    port.transaction(() => {
      const start = newestSeq(port);
      const images = creates.map(({ after }) => present(after, 'a created row has an after-image'));
      insertRows(port, layout, images, 'ABORT');
      assert(
        newestSeq(port) - start === images.length,
        () => `${layout.table}: a row that came is not logged`,
      );
    });
    return true;
  } catch (error) {
    if (error instanceof SqliteError && error.kind === 'constraint') return false;
    throw error;
  }
}

/** What is left of `changes` after those that were captured here already, which must be the first of them. */
function withoutCaptured(port: SqlitePort, changes: Iterable<Change>): Iterable<Change> {
  const rest = changes[Symbol.iterator]();
  for (const page of readCapturedPages(port))
    for (const captured of page) {
      const { value, done } = rest.next();
      assert(
        done !== true && sameChanges([captured], [value]),
        'a schema change did to rows what it did not',
      );
    }
  return { [Symbol.iterator]: () => rest };
}

/**
 * What the triggers saw change since `start` is what was meant, before-images included; where rows only came, their number tells: see
 * {@link insertBulk}. Gives where the log ends now.
 */
function checkLogged(port: SqlitePort, layouts: Layouts, meant: readonly Change[], start: number): number {
  if (meant.length === 0) return start;
  const newest = newestSeq(port);
  if (newest - start === meant.length && meant.every(({ type }) => type === 'create')) return newest;
  const own = readChanges(port, layouts, { first: start + 1, last: newest });
  if (sameChanges(own, meant)) return newest;
  const at = own.findIndex((change, i) => !sameChanges([change], meant.slice(i, i + 1)));
  const change = meant[at === -1 ? own.length : at];
  const table = change === undefined ? 'a table' : layoutOf(layouts, change).table;
  throw new MisfitError(`${table}: a row is not equal to its before-image`);
}
