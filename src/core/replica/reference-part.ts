import { present } from '../../base/assert.ts';
import { toBase64 } from '../../protocol/base64.ts';
import { AtollError } from '../../protocol/error.ts';
import type { PrepareRequest, TransactionPart, TransactRequest } from '../../protocol/transaction.ts';
import type { StatementResult } from '../execution/run.ts';
import { applyChanges } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { encodeChanges, sameChanges } from '../log/encoding.ts';
import { keyText, type Layouts, layoutOf, readLayouts } from '../log/layout.ts';
import { NetChanges } from '../log/net.ts';
import { readCaptured } from '../log/read.ts';
import type { Script } from '../transaction/script.ts';
import { applyOrDie, refuseLocked, wounded } from './contention.ts';
import type { Work } from './group.ts';
import { apartFromMarks, logMarks } from './identifiers.ts';
import { overtaken } from './overtaken.ts';
import { partLocks, partObstacle, runPart } from './part.ts';
import { decodeIncoming } from './received-changes.ts';
import { findTaken, type Taken, takesKeys } from './referrers.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
import { presentScript } from './script-work.ts';

/**
 * Reference tables that are written beside others: a transaction that the system partition anchors. Its own part comes first, and is
 * undone; the others prepare with what it would change, since their rows may be joined with it, or refer to it; the decision then
 * makes the same changes, if nothing else has changed a reference table meanwhile.
 */
export interface ReferencePart {
  readonly changes: readonly Change[];
  readonly results: readonly StatementResult[];
  /** Where the feed ended: the changes are of that state. */
  readonly feedIndex: number;
}

/** Finds out what the anchor's own part does. `found` is called with it. */
export function findReferencePart(
  replica: Replica,
  request: TransactRequest,
  part: TransactionPart,
  found: (own: ReferencePart) => void,
): Work {
  return {
    read: false,
    run: (now) => {
      const { schema, system } = request;
      const obstacle = partObstacle(replica, part, { schema, system, read: false });
      // The schema change may wait for what the transaction will hold elsewhere.
      if (obstacle?.kind === 'held') throw wounded();
      if (obstacle !== null) return obstacle;
      refuseLocked(replica, request, partLocks(replica, part, now));
      const { captured, results } = rehearse(replica.port, () => {
        const own = runPart(replica, part, now);
        return { results: own, captured: readCaptured(replica.port) };
      });
      // The marks stay: an id that was shown is never issued again, whatever becomes of the transaction.
      const { rows: changes, marks } = apartFromMarks(captured);
      refuseAlone(replica, request, changes);
      if (part.script !== undefined) refuseOther(replica, presentScript(replica, part.script, now), changes);
      if (marks.length > 0) {
        logMarks(replica.port, marks);
        replica.append('write', null, now);
      }
      found({ changes, results, feedIndex: replica.feedIndex });
      return { kind: 'done', body: '{}' };
    },
  };
}

/**
 * The other partitions have evaluated their statements with what the script has said to change: replayed, it may answer the same and
 * yet change something else, where others have changed what it reads.
 *
 * @throws AtollError `conflict`
 */
function refuseOther({ port }: Replica, script: Script, changes: readonly Change[]): void {
  const layouts = readLayouts(port);
  const now = new NetChanges();
  now.add(changes, layouts);
  const sorted = (net: readonly Change[]) =>
    net
      .map((change) => ({ change, row: rowOf(change, layouts) }))
      .sort((left, right) => (left.row < right.row ? -1 : 1))
      .map(({ change }) => change);
  if (!sameChanges(sorted(now.list()), sorted(script.net(Number.POSITIVE_INFINITY, layouts))))
    throw overtaken();
}

function rowOf(change: Change, layouts: Layouts): string {
  const image = present(change.before ?? change.after, 'a change has an image');
  return keyText(layoutOf(layouts, change), image);
}

/** Rows that refer to what goes are in all partitions: none may be left out. */
function refuseAlone(
  { port, schema }: Replica,
  { parts, ring = [] }: TransactRequest,
  changes: readonly Change[],
): void {
  if (!takesKeys(schema, changes, readLayouts(port))) return;
  const asked = new Set(parts.map(({ partition }) => partition));
  if (ring.length > 0 && ring.every(([, partition]) => asked.has(partition))) return;
  throw new AtollError(
    'bad-request',
    'a transaction that takes rows of reference tables away, which others may refer to, has a part in every partition',
  );
}

/** With the decision: as it was found. */
export function applyReferences(replica: Replica, { changes, feedIndex }: ReferencePart): void {
  if (replica.feedIndex !== feedIndex) throw wounded();
  applyChanges(replica.port, changes);
}

/** What participants prepare with. */
export function referencesText({ changes }: ReferencePart): string {
  return toBase64(encodeChanges(changes));
}

/**
 * Of a participant, in a transaction that is undone: its copies are as they will be, and what is captured afterwards is its own. Gives what
 * they lose.
 */
export function receiveReferences(
  replica: Replica,
  { references, transaction }: Pick<PrepareRequest, 'transaction'> & { readonly references: string },
  now: number,
): Taken {
  const { port } = replica;
  const changes = decodeIncoming(port, references);
  const taken = findTaken(replica, changes);
  // A copy may be further by now: the anchor refuses that too.
  applyOrDie(port, changes);
  // By its name a script's replay tells it from what others have changed.
  replica.append('write', null, now, { transactionId: transaction, commitTimestamp: null });
  return taken;
}
