import { AtollError } from '../../protocol/error.ts';
import type { ScriptRun } from '../../protocol/interactive.ts';
import type { StatementResult } from '../execution/run.ts';
import { applyChanges, MisfitError } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { readLayouts } from '../log/layout.ts';
import { readCaptured, readCapturedPages } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import type { ParsedStatement } from '../sql/ast.ts';
import type { SqlitePort } from '../sqlite/port.ts';
import { accessOf, accessOfIncoming } from '../transaction/access.ts';
import { changedLocks, incomingLocks } from '../transaction/footprint.ts';
import { type Lock, WHOLE_SHARED } from '../transaction/lock.ts';
import {
  changesBytes,
  SCRIPT_BYTES_MAX,
  type Script,
  type ScriptEntry,
  statementBytes,
} from '../transaction/script.ts';
import { Claims, claimLocks } from './claims.ts';
import { errandLocks } from './errand.ts';
import type { Escape, Reach } from './escapes.ts';
import { refuseFilling } from './fill-part.ts';
import { freeing } from './freed.ts';
import { apartFromMarks, type IdentifierSource } from './identifiers.ts';
import { sortIncoming } from './key-changes.ts';
import { LockedError } from './locked.ts';
import { fitting } from './overtaken.ts';
import { decodeIncoming } from './received-changes.ts';
import { tablesOfActions } from './reference-actions.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
import {
  answerOf,
  digestOf,
  fingerprintOf,
  type Parted,
  type Run,
  runOnce,
  spreadOf,
  takeIncoming,
  takenApart,
} from './script-execution.ts';
import { uniqueViolation } from './unique-entries.ts';
import { readVisitors, receive } from './visitors.ts';

export interface Evaluation {
  readonly entry: ScriptEntry;
  /** Changes of the marks of issued ids. */
  readonly marks: readonly Change[];
  /** An error is an answer too: the statement has done nothing, and the transaction goes on. */
  readonly answer: StatementResult | AtollError;
  /** What the statement has made for other partitions. */
  readonly escaped: readonly Escape[];
  /** A foreign key over partitions does not hold, unless what is made for this partition yet puts that right. */
  readonly violated: boolean;
}

/** The same of what others have made. */
export type Taken = Pick<Evaluation, 'entry' | 'escaped' | 'violated'> & {
  readonly error: AtollError | null;
};

/**
 * Runs a statement on top of the script's, and undoes everything. `spreads`: somebody sees to what it makes for other
 * partitions.
 *
 * @throws AtollError that is no answer
 */
export function evaluate(
  replica: Replica,
  script: Script,
  request: Before & Pick<ScriptRun, 'part' | 'spreads'>,
  now: number,
): Evaluation {
  const { number, part, spreads = false, references } = request;
  const { statement, read, answerBytesMax } = part;
  const { parsed, plan, args } = replica.analyse(statement);
  const room = SCRIPT_BYTES_MAX - script.bytes - statementBytes(statement);
  if (room < 0) throw tooLarge();
  const taken: number[][] = [];
  const visitors = part.visitors === undefined ? null : readVisitors(replica, part.visitors);
  const { ids = [] } = part;
  const claims = ids.length === 0 ? null : new Claims(replica, ids, { script: script.name, visitors });
  const reach = spreads && !read ? spreadOf(replica, statement, visitors !== null) : null;
  const run = () =>
    attempt(
      replica,
      parsed,
      { ...part, reach },
      { visitors: visitors?.foreign ?? [], claims, taken, room },
      now,
    );
  const tried =
    read && script.read && references === undefined && claims === null
      ? run()
      : rehearse(replica.port, () => {
          applyEarlier(replica, script, request, now);
          if (visitors !== null) receive(replica, visitors, now);
          return run();
        });
  const access = accessOf(parsed.statement, plan, args, replica.schema);
  const entry: ScriptEntry = {
    number,
    statement,
    incoming: [],
    spreads: reach !== null,
    read,
    answerBytesMax,
    since: readHead(replica.port).lastCommitId,
    fingerprint: fingerprintOf(tried.answer),
    identifiers: taken,
    ids,
    changes: tried.changes,
    escaped: digestOf(tried.escaped),
    violated: tried.violated,
    access: {
      ...access,
      // The rows in its way would have to be looked for once more.
      volatile: access.volatile || visitors !== null,
    },
    locks: [
      ...replica.footprint([statement], read),
      ...(visitors?.locks ?? []),
      ...claimLocks(ids),
      ...locksOfFailure(reach, tried.answer),
      // Whether a row may go is told by what refers to its key.
      ...(reach === null ? [] : changedLocks(tried.changes, readLayouts(replica.port), replica.schema)),
    ],
  };
  const { marks, answer, escaped, violated } = tried;
  return { entry, marks, answer, escaped, violated };
}

/**
 * Takes what a statement has made in other partitions for this one on top of the script's, does what foreign keys over partitions
 * ask for, and undoes everything.
 *
 * @throws AtollError that is no answer
 */
export function evaluateIncoming(
  replica: Replica,
  script: Script,
  request: Before,
  incoming: readonly Change[],
  now: number,
): Taken {
  const { port, schema } = replica;
  const { number } = request;
  const room = SCRIPT_BYTES_MAX - script.bytes;
  if (changesBytes(incoming) > room) throw tooLarge();
  const { rows, keys, actions } = sortIncoming(incoming, schema);
  refuseFilling(schema, rows);
  const { changes, escaped, violated, error } = rehearse(port, () => {
    applyEarlier(replica, script, request, now);
    fitting(() => applyChanges(port, script.changesOf(number)));
    const before = readCaptured(port).length;
    try {
      const done = fitting(() => replica.attempt(() => takeIncoming(replica, { rows, keys, actions })));
      // Rows as they came: the next time their constraints are looked at again.
      const own = actions.length === 0 ? rows : [...done.there.slice(before), ...done.kept];
      return { ...done, changes: own, error: null };
    } catch (thrown) {
      waitForFree(replica, thrown);
      return { ...NOTHING, error: answerOf(uniqueViolation(replica, thrown)) };
    }
  });
  if (changesBytes(changes) > room) throw tooLarge();
  const layouts = readLayouts(port);
  const tables = new Set([
    ...rows.flatMap(({ tableId }) => schema.stored.get(tableId) ?? []),
    ...keys.map(({ index }) => index.table),
  ]);
  const entry: ScriptEntry = {
    number,
    statement: null,
    incoming,
    spreads: true,
    read: false,
    answerBytesMax: undefined,
    since: readHead(port).lastCommitId,
    fingerprint: '',
    identifiers: [],
    ids: [],
    changes,
    escaped: digestOf(escaped),
    violated,
    access: accessOfIncoming([...tables], tablesOfActions(actions, schema), schema),
    locks: [
      ...incomingLocks(rows, layouts, schema),
      ...errandLocks({ keys, actions }, schema),
      ...changedLocks(changes, layouts, schema),
    ],
  };
  return { entry, error, escaped, violated };
}

/** A value that is unique over partitions may have met any row here: whether it still does depends on all of them. */
function locksOfFailure(reach: Reach | null, answer: StatementResult | AtollError): Lock[] {
  return reach !== null && answer instanceof AtollError && answer.code === 'constraint' ? [WHOLE_SHARED] : [];
}

/** Nothing is held yet: what may be about to change is waited for. @throws LockedError */
function waitForFree(replica: Replica, error: unknown): void {
  const holders = freeing(replica, '', error);
  if (holders.length > 0) throw new LockedError(holders);
}

/** Tells what statements find that was done before them. */
type Before = Pick<ScriptRun, 'number' | 'references'>;

/** As an entry of the log, which is undone with the rest: what is captured afterwards is the statement's own. */
function applyEarlier(replica: Replica, script: Script, { number, references }: Before, now: number): void {
  const { port } = replica;
  if (references !== undefined) {
    fitting(() => applyChanges(port, decodeIncoming(port, references)));
    replica.append('write', null, now);
  }
  const net = script.net(number, readLayouts(port));
  if (net.length === 0) return;
  fitting(() => {
    try {
      port.transaction(() => applyChanges(port, net));
    } catch (error) {
      if (!(error instanceof MisfitError)) throw error;
      applyChanges(port, script.liveChanges(number));
    }
  });
  replica.append('write', null, now);
}

const NOTHING: Parted = { changes: [], escaped: [], violated: false };

type Tried = Pick<Evaluation, 'marks' | 'answer'> & Parted;

interface Beside {
  readonly visitors: readonly Change[];
  readonly claims: Claims | null;
  /** Takes note of generated ids. */
  readonly taken: number[][];
  readonly room: number;
}

/** Everything of a statement that fails is undone, its ids too, which nobody has seen. */
function attempt(
  replica: Replica,
  parsed: ParsedStatement,
  part: Run,
  { visitors, claims, taken, room }: Beside,
  now: number,
): Tried {
  const identifiers = recording(claims?.identifiers ?? replica.identifiers, taken);
  try {
    if (part.read && claims === null)
      return { answer: runOnce(replica, parsed, part, identifiers), marks: [], ...NOTHING };
    return replica.attempt(() => {
      claims?.claim(now);
      const answer = runOnce(replica, parsed, part, identifiers);
      const { changes, marks } = captured(replica.port, room);
      claims?.check(changes, readLayouts(replica.port), (error) => waitForFree(replica, error));
      return { answer, marks, ...takenApart(replica, part.reach, changes, visitors) };
    });
  } catch (thrown) {
    if (part.reach !== null || claims !== null) waitForFree(replica, thrown);
    return { answer: answerOf(thrown), marks: [], ...NOTHING };
  }
}

function captured(port: SqlitePort, room: number): Pick<Tried, 'changes' | 'marks'> {
  const changes: Change[] = [];
  const marks: Change[] = [];
  let bytes = 0;
  for (const page of readCapturedPages(port)) {
    const own = apartFromMarks(page);
    marks.push(...own.marks);
    changes.push(...own.rows);
    bytes += changesBytes(own.rows);
    if (bytes > room) throw tooLarge();
  }
  return { changes, marks };
}

function tooLarge(): AtollError {
  return new AtollError(
    'too-large',
    `an interactive transaction may keep ${SCRIPT_BYTES_MAX} bytes of changed rows and statements in a partition: ` +
      'change fewer rows in one transaction',
  );
}

function recording(source: IdentifierSource, taken: number[][]): IdentifierSource {
  return {
    ...source,
    takeIdentifiers: (table, count, given) => {
      const ids = source.takeIdentifiers(table, count, given);
      taken.push(ids);
      return ids;
    },
  };
}
