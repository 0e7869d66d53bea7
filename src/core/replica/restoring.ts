import { AtollError } from '../../protocol/error.ts';
import type { Catalogue } from '../schema/catalogue.ts';

/** Why a request that belongs to `restore`, or to none, is not served under this schema; null: it is. */
export function restoreObstacle({ restoring }: Catalogue, restore: string | undefined): AtollError | null {
  if (restoring === restore) return null;
  if (restoring !== undefined) {
    return new AtollError('busy', 'a restore is under way: nothing else is served until it ends', 'none');
  }
  return new AtollError('schema-conflict', 'the restore was given up: its router was not heard of', 'none');
}

/** @throws AtollError for a schema change from outside the restore that is under way, or of one that has ended */
export function refuseDuringRestore(catalogue: Catalogue, restore: string | undefined): void {
  const refused = restoreObstacle(catalogue, restore);
  if (refused !== null) throw refused;
}
