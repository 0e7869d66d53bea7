import { AtollError } from '../../protocol/error.ts';
import { applyChanges } from '../log/apply.ts';
import type { Change } from '../log/commit.ts';
import { createRows } from '../log/create-rows.ts';
import { readLayouts } from '../log/layout.ts';
import { entriesToChange } from './fill-part.ts';
import type { Replica } from './replica.ts';

/** What other partitions have made for this one: rows and entries of indexes that belong here (escapes.ts). */

/**
 * What goes before what comes: a value may change hands.
 *
 * @throws MisfitError if what goes is not there; SqliteError of the constraint that a row violates
 */
export function applyIncoming(
  { port, schema }: Pick<Replica, 'port' | 'schema'>,
  incoming: readonly Change[],
): void {
  if (incoming.some(({ type }) => type === 'update'))
    throw new AtollError('bad-request', 'a row changes its partition by a delete and a create');
  const layouts = readLayouts(port);
  const ofType = (wanted: Change['type']) => {
    const own = incoming.filter(({ type }) => type === wanted);
    return entriesToChange({ port, schema }, own, layouts);
  };
  applyChanges(port, ofType('delete'));
  createRows(port, ofType('create'), layouts);
}
