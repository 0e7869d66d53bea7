import type { TableId } from '../../base/brand.ts';
import type { AtollError } from '../../protocol/error.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import type { StatementResult } from '../execution/run.ts';
import { applyChanges } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { readCaptured } from '../log/read.ts';
import { SqliteError } from '../sqlite/port.ts';
import type { Script, ScriptEntry } from '../transaction/script.ts';
import type { IdentifierSource } from './identifiers.ts';
import { applyIncoming } from './incoming.ts';
import { LaterChanges } from './later-changes.ts';
import { fitting, overtaken } from './overtaken.ts';
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
 * @throws AtollError `conflict`
 */
export function replay(replica: Replica, script: Script): void {
  /** Tables that executions changed: perhaps otherwise than the first ones, whose effects the later statements saw. */
  const dirty = new Set<TableId>();
  const later = new LaterChanges(replica, script.entries);
  for (const entry of script.entries) {
    const { touched, written, volatile } = entry.access;
    const { statement, changes } = entry;
    const live = script.isLive(entry);
    const stands = !intersect(touched, dirty) && !later.concern(entry);
    if (stands || (live && statement === null)) {
      if (!live || changes.length === 0) continue;
      // What was made elsewhere is the same however often it is done: only that nothing is in its way must be seen.
      fitting(() => (stands ? applyChanges(replica.port, changes) : addAgain(replica, changes)));
      continue;
    }
    if (volatile || !live || statement === null) throw overtaken();
    executeAgain(replica, { ...entry, statement }, script.spreads);
    for (const table of written) dirty.add(table);
  }
}

/** Constraints hold: somebody else's row may be where one of these was to be, or its parent gone. */
function addAgain(replica: Replica, incoming: readonly Change[]): void {
  try {
    applyIncoming(replica, incoming);
  } catch (error) {
    throw error instanceof SqliteError && error.kind === 'constraint' ? overtaken() : error;
  }
}

function intersect(left: ReadonlySet<TableId>, right: ReadonlySet<TableId>): boolean {
  for (const each of right) if (left.has(each)) return true;
  return false;
}

function executeAgain(
  replica: Replica,
  entry: ScriptEntry & { readonly statement: WireStatement },
  spreads: boolean,
): void {
  const { port } = replica;
  const { parsed } = replica.analyse(entry.statement);
  const reach = spreads && !entry.read ? spreadOf(replica, entry.statement) : null;
  // Of a script that spreads there are changes of indexes already: those are not the statement's.
  const before = spreads ? readCaptured(port).length : 0;
  const run = () => runOnce(replica, parsed, { ...entry, reach }, repeating(entry.identifiers), before);
  let answer: StatementResult | AtollError;
  let apart: Parted = { changes: [], escaped: [] };
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
  if (reach !== null) fitting(() => applyChanges(port, apart.changes));
}

/** The ids of the first execution, which were issued then. One that takes others is not the same any more. */
function repeating(identifiers: ScriptEntry['identifiers']): IdentifierSource {
  let next = 0;
  return {
    takeIdentifiers: (_table, count) => {
      const ids = identifiers[next++];
      if (ids?.length !== count) throw overtaken();
      return [...ids];
    },
    passIdentifiers: () => undefined,
  };
}
