import type { Change } from '../log/commit.ts';
import { readLayouts } from '../log/layout.ts';
import { readCaptured } from '../log/read.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Lock } from '../transaction/lock.ts';
import { splitChanges } from './escapes.ts';
import type { Incoming } from './key-changes.ts';
import { act, actionLocks, movedByActions } from './reference-actions.ts';
import { type Consequences, consequencesOf } from './references.ts';
import type { Replica } from './replica.ts';
import { tokenOfEntry } from './unique-entries.ts';

/** What foreign keys over partitions ask of a later wave, of a transaction or of one statement of an interactive one. */

/** The locks that it needs, beside those of the rows that come and go. */
export function errandLocks({ keys, actions }: Pick<Incoming, 'keys' | 'actions'>, schema: Schema): Lock[] {
  return [
    ...keys.map(({ index, from }) => ({ table: null, token: tokenOfEntry(index, from), exclusive: true })),
    ...actionLocks(actions, schema),
  ];
}

export interface Done extends Consequences {
  /** What was captured here before, rows that others have made included. */
  readonly there: readonly Change[];
  /** What the actions have changed here. */
  readonly kept: readonly Change[];
}

/** Does it, where the rows that come and go have done so; `run` says what an error of the actions means. */
export function runErrand(
  replica: Replica,
  { actions, keys }: Pick<Incoming, 'keys' | 'actions'>,
  run: (actions: () => void) => void,
): Done {
  const { port, schema, identity } = replica;
  const layouts = readLayouts(port);
  const there = readCaptured(port);
  run(() => {
    for (const action of actions) act(port, schema, layouts, action);
  });
  const all = actions.length === 0 ? there : readCaptured(port);
  const fresh = all.slice(there.length);
  const { kept, escaped } = splitChanges(fresh, layouts, schema, identity, movedByActions(actions, schema));
  const more = consequencesOf(replica, { fresh, all, keys }, layouts);
  return { there, kept, escaped: [...escaped, ...more.escaped], violated: more.violated };
}
