import type { TableId } from '../../base/brand.ts';
import type { AtollError } from '../../protocol/error.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import type { StatementResult } from '../execution/run.ts';
import { applyChanges } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import { SqliteError } from '../sqlite/port.ts';
import type { Script, ScriptEntry } from '../transaction/script.ts';
import { refuseElsewhere } from './claims.ts';
import type { IdentifierSource } from './identifiers.ts';
import { applyIncoming } from './incoming.ts';
import { sortIncoming } from './key-changes.ts';
import { LaterChanges } from './later-changes.ts';
import { fitting, overtaken } from './overtaken.ts';
import { consequencesOf, isViolated } from './references.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';
import {
  answerOf,
  digestOf,
  fingerprintOf,
  type Parted,
  runOnce,
  spreadOf,
  takenApart,
} from './script-execution.ts';

/**
 * Makes all that the script has done part of the commit being made, provided that every answer still holds. A statement
 * whose rows nobody has changed since needs no execution: its captured changes are applied. The others are executed again, with
 * the same ids, and must answer the same.
 *
 * Two kinds are not executed again, and conflict: what was undone by ROLLBACK TO, whose answer was seen but whose effects
 * must not be; and what reads the clock or chance, which is fixed when it is first evaluated, and would differ.
 *
 * What statements have made for other partitions is in the scripts there. Executed again, they must make the same.
 *
 * `own`: the transaction's entry with what it does to copies of reference tables, which its statements have found already.
 *
 * @throws AtollError `conflict`
 */
export function replay(replica: Replica, script: Script, own: string | null = null): void {
  const { port, schema } = replica;
  /** Tables that executions changed: perhaps otherwise than the first ones, whose effects the later statements saw. */
  const dirty = new Set<TableId>();
  const later = new LaterChanges(replica, script.entries, own);
  for (const entries of Map.groupBy(script.entries, ({ number }) => number).values()) {
    /** What the statement has changed here. */
    const done: Change[] = [];
    for (const entry of entries) {
      const { touched, written, volatile } = entry.access;
      const { statement } = entry;
      const stands = !intersect(touched, dirty) && !later.concern(entry);
      const live = script.isLive(entry);
      if (!live && stands) continue;
      if (!stands && (volatile || !live)) throw overtaken();
      if (stands) {
        fitting(() => applyChanges(port, entry.changes));
        done.push(...entry.changes);
      } else if (statement === null) {
        done.push(...takeAgain(replica, entry, done));
      } else {
        done.push(...executeAgain(replica, { ...entry, statement }, script.spreads));
        for (const table of written) dirty.add(table);
      }
    }
    if (isViolated(port, schema, done, readLayouts(port))) throw overtaken();
  }
}

/**
 * What was made elsewhere is the same however often it is done; what is here may not be: somebody else's row may be where one of
 * these was to be, or its parent gone. `done`: what the same statement has changed here.
 */
function takeAgain(
  replica: Replica,
  { incoming, changes, escaped, violated }: ScriptEntry,
  done: readonly Change[],
): readonly Change[] {
  const { rows, keys } = sortIncoming(incoming, replica.schema);
  try {
    fitting(() => applyIncoming(replica, rows));
  } catch (error) {
    throw error instanceof SqliteError && error.kind === 'constraint' ? overtaken() : error;
  }
  const all = [...done, ...changes];
  const more = consequencesOf(replica, { fresh: [], all, keys }, readLayouts(replica.port));
  if (digestOf(more.escaped) !== escaped || more.violated !== violated) throw overtaken();
  return changes;
}

function intersect(left: ReadonlySet<TableId>, right: ReadonlySet<TableId>): boolean {
  for (const each of right) if (left.has(each)) return true;
  return false;
}

function executeAgain(
  replica: Replica,
  entry: ScriptEntry & { readonly statement: WireStatement },
  spreads: boolean,
): readonly Change[] {
  const { port } = replica;
  const { parsed } = replica.analyse(entry.statement);
  const reach = entry.spreads ? spreadOf(replica, entry.statement) : null;
  // Of a script that spreads there are changes of indexes already: those are not the statement's.
  const before = spreads ? readCaptured(port).length : 0;
  const run = () => {
    const result = runOnce(replica, parsed, { ...entry, reach }, repeating(entry), before);
    refuseElsewhere(replica, entry.ids);
    return result;
  };
  let answer: StatementResult | AtollError;
  let apart: Parted = { changes: [], escaped: [], violated: false };
  try {
    if (reach === null) answer = port.transaction(run);
    else {
      answer = rehearse(port, () => {
        const result = run();
        apart = takenApart(replica, reach, readCaptured(port).slice(before));
        return result;
      });
    }
  } catch (thrown) {
    answer = answerOf(thrown);
  }
  if (fingerprintOf(answer) !== entry.fingerprint || digestOf(apart.escaped) !== entry.escaped)
    throw overtaken();
  if (apart.violated !== entry.violated) throw overtaken();
  if (reach !== null) fitting(() => applyChanges(port, apart.changes));
  return apart.changes;
}

/** The ids of the first execution, which were issued then. One that takes others is not the same any more. */
function repeating({ identifiers, ids: given }: ScriptEntry): IdentifierSource {
  let next = 0;
  return {
    takeIdentifiers: (_table, count) => {
      const ids = identifiers[next++];
      if (ids?.length !== count) throw overtaken();
      return [...ids];
    },
    passIdentifiers: () => undefined,
    mayGiveIds: ({ id }) => given.some(({ table }) => table === id),
  };
}
