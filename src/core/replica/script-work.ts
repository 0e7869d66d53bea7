import type { Epoch, SchemaVersion } from '../../base/brand.ts';
import { toBase64 } from '../../protocol/base64.ts';
import { AtollError } from '../../protocol/error.ts';
import {
  type ScriptAnswer,
  type ScriptCommit,
  type ScriptFate,
  type ScriptFateRequest,
  type ScriptReference,
  type ScriptRun,
  type WrittenCopies,
  wireError,
} from '../../protocol/interactive.ts';
import { parseTimestamp } from '../clock/timestamp.ts';
import { encodeChanges } from '../log/encoding.ts';
import { readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import { incomingLocks } from '../transaction/footprint.ts';
import { Script, type ScriptEntry } from '../transaction/script.ts';
import { errandLocks } from './errand.ts';
import type { Work } from './group.ts';
import { logMarks } from './identifiers.ts';
import { sortIncoming } from './key-changes.ts';
import type { Addressed } from './obstacle.ts';
import { open } from './open.ts';
import type { ExecuteOutcome } from './outcome.ts';
import { decodeIncoming } from './received-changes.ts';
import type { Replica } from './replica.ts';
import { encodeBatch } from './reply.ts';
import { evaluate, evaluateIncoming } from './script.ts';
import { replay } from './script-replay.ts';

/** The piece of work that evaluates one more statement; its outcome's body is a {@link ScriptAnswer}. */
export function scriptRunWork(replica: Replica, request: ScriptRun): Work {
  /** What the same work has kept before, in a group that was undone as a whole. */
  let kept: Script | null = null;
  const run = (now: number): ExecuteOutcome => {
    if (kept !== null) forget(replica, kept);
    const script = scriptFor(replica, request, now);
    const outcome = runStatement(replica, script, request, now);
    kept = outcome.kind === 'done' ? script : null;
    return outcome;
  };
  return { read: false, run };
}

function forget({ scripts }: Replica, script: Script): void {
  script.removeLast();
  if (script.entries.length === 0) scripts.remove(script.name);
}

function runStatement(replica: Replica, script: Script, request: ScriptRun, now: number): ExecuteOutcome {
  const { part, system } = request;
  const obstacle = scriptObstacle(replica, script, { system, read: part.read });
  if (obstacle !== null) return obstacle;
  if (request.changes !== undefined) return takeIncoming(replica, script, request, request.changes, now);
  const holders = replica.locks.blockers(replica.footprint([part.statement], part.read));
  if (holders.length > 0) return { kind: 'locked', holders };
  const { entry, marks, answer, escaped, violated } = evaluate(replica, script, request, now);
  // The marks stay: an id that was shown is never issued again, whatever becomes of the transaction.
  logMarks(replica.port, marks);
  replica.append('write', null, now);
  const written = replica.isSystem && !part.read ? writtenCopies(replica, script, entry) : null;
  replica.scripts.keep(script, entry, now);
  if (answer instanceof AtollError) return answered(script, failed(answer));
  return answered(script, {
    kind: 'answer',
    reply: encodeBatch(replica, [answer]),
    ...open(escaped, violated),
    ...(written !== null && { references: written }),
  });
}

/** Of all partitions' copies (chosen: every further statement takes them along). */
const COPIES_BYTES_MAX = 256 * 1024;

/** @throws AtollError `too-large` */
function writtenCopies(replica: Replica, script: Script, { number, changes }: ScriptEntry): WrittenCopies {
  const bytes = encodeChanges([...script.liveChanges(number), ...changes]);
  if (bytes.length > COPIES_BYTES_MAX) {
    throw new AtollError(
      'too-large',
      `an interactive transaction may change ${COPIES_BYTES_MAX} bytes of rows of reference tables: send them by /v1/batch`,
    );
  }
  return { changes: toBase64(bytes), system: replica.feedIndex };
}

/** What the statement has made in other partitions for this one. */
function takeIncoming(
  replica: Replica,
  script: Script,
  request: ScriptRun,
  changes: string,
  now: number,
): ExecuteOutcome {
  const { port, schema, locks } = replica;
  const incoming = decodeIncoming(port, changes);
  const sorted = sortIncoming(incoming, schema);
  const needed = [...incomingLocks(sorted.rows, readLayouts(port), schema), ...errandLocks(sorted, schema)];
  const holders = locks.blockers(needed);
  if (holders.length > 0) return { kind: 'locked', holders };
  const { entry, error, escaped, violated } = evaluateIncoming(replica, script, request, incoming, now);
  replica.scripts.keep(script, entry, now);
  if (error !== null) return answered(script, failed(error));
  return answered(script, { kind: 'answer', reply: encodeBatch(replica, []), ...open(escaped, violated) });
}

function failed(error: AtollError): Answer {
  return { kind: 'failed', error: wireError(error) };
}

type Answer = ScriptAnswer extends infer Each
  ? Each extends { readonly script: string }
    ? Omit<Each, 'script'>
    : never
  : never;

function answered({ id: script }: Script, answer: Answer): ExecuteOutcome {
  const body: ScriptAnswer = { script, ...answer };
  return { kind: 'done', body: JSON.stringify(body) };
}

/** The script that the request goes on with; of a first statement, a new one. */
function scriptFor(replica: Replica, request: ScriptRun, now: number): Script {
  const { scripts, term } = replica;
  const { name, schema, part, expiresMs } = request;
  if (request.script !== null) return presentScript(replica, request, now);
  // Something of it is here that its keeper does not know: it is not the one that is asking.
  if (scripts.get(name, now) !== null) throw lost(replica);
  return new Script(name, `${term}.${scripts.nextNumber()}`, schema, part.epoch, expiresMs);
}

/** The script of a transaction that has been here. @throws AtollError `conflict` if it has been lost */
export function presentScript(
  replica: Replica,
  { name, script: id, count, undone }: ScriptReference,
  now: number,
): Script {
  const script = replica.scripts.get(name, now);
  if (script?.id !== id || script.entries.length !== count) throw lost(replica);
  script.undo(undone);
  return script;
}

function lost({ identity }: Replica): AtollError {
  return new AtollError(
    'conflict',
    `partition ${identity.partition} was restarted and has lost the transaction, of which nothing is applied; ` +
      'run the transaction again',
    'none',
    { reason: 'lost' },
  );
}

/** As {@link Replica.obstacle}. Another schema or epoch than the one before ends the transaction. */
export function scriptObstacle(
  replica: Replica,
  { schema, epoch }: { readonly schema: SchemaVersion; readonly epoch: Epoch },
  rest: Pick<Addressed, 'system' | 'read'>,
): ExecuteOutcome | null {
  const obstacle = replica.obstacle({ epoch, schema, ...rest });
  if (obstacle?.kind !== 'stale') return obstacle;
  throw new AtollError(
    'schema-conflict',
    'the schema, or what partitions own, has changed since the transaction began; run the transaction again',
  );
}

/** The piece of work that commits a transaction which only this partition has a part in. */
export function scriptCommitWork(replica: Replica, request: ScriptCommit, now: number): Work {
  const read = replica.scripts.get(request.name, now)?.read ?? true;
  return { read, run: (at) => commit(replica, request, at) };
}

function commit(replica: Replica, request: ScriptCommit, now: number): ExecuteOutcome {
  const script = presentScript(replica, request, now);
  const obstacle = scriptObstacle(replica, script, { system: 0, read: script.read });
  if (obstacle !== null) return obstacle;
  const holders = replica.locks.blockers(script.locks);
  if (holders.length > 0) return { kind: 'locked', holders };
  replay(replica, script);
  if (!script.read) {
    if (!replica.locks.isEmpty) replica.checkCaptured(readCaptured(replica.port));
    replica.append('write', null, now, { transactionId: request.transaction, commitTimestamp: null });
  }
  return { kind: 'done', body: encodeBatch(replica, []) };
}

const FATE =
  "SELECT 1 FROM _atoll_commits WHERE kind IN ('write', 'decide') AND substr(transaction_id, 1, ?) = ? LIMIT 1";

/**
 * Whether this partition has committed the transaction, by itself or for all. What it has not committed by now it never will:
 * without its script it cannot.
 */
export function scriptFate(replica: Replica, { name, begunMs }: ScriptFateRequest): ScriptFate {
  replica.scripts.remove(name);
  const { port } = replica;
  const reply = encodeBatch(replica, []);
  if (port.query(FATE, name.length, name).rows.length > 0) return { committed: true, reply };
  // Log time is not behind the clock of who began the transaction by more than the clocks may differ.
  const oldest = parseTimestamp(readHead(port).baseTimestamp)?.milliseconds ?? 0;
  return { committed: oldest + replica.clock.skewLimitMs >= begunMs ? null : false, reply };
}
