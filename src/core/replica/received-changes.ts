import { present } from '../../base/assert.ts';
import { fromBase64 } from '../../protocol/base64.ts';
import type { Change } from '../log/commit.ts';
import { decodeChanges } from '../log/encoding.ts';
import { readLayouts } from '../log/layout.ts';
import type { SqlitePort } from '../sqlite/port.ts';

/** Row changes in a message: base64 of `core/log/encoding.ts`. */

export function decodeReceived(changes: string): Change[] {
  return decodeChanges(present(fromBase64(changes), 'changes are base64'));
}

/** In this partition's layouts: each numbers its own, and at the same schema version a table's columns are the same. */
export function decodeIncoming(port: SqlitePort, changes: string): Change[] {
  const current = new Map<number, number>();
  for (const layout of readLayouts(port).values())
    if (layout.current) current.set(layout.tableId, layout.layout);
  return decodeReceived(changes).map((change) => ({
    ...change,
    layout: present(current.get(change.tableId), () => `table ${change.tableId} of the feed is not here`),
  }));
}
