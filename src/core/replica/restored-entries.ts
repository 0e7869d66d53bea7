import { present } from '../../base/assert.ts';
import { AtollError } from '../../protocol/error.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../../protocol/json-value.ts';
import type {
  RestoreEnterRequest,
  RestoreEntriesReply,
  RestoreEntriesRequest,
} from '../../protocol/restore.ts';
import { failureOf } from '../execution/failure.ts';
import { createRows } from '../log/create-rows.ts';
import { sameValues } from '../log/encoding.ts';
import { layoutOf, readLayouts } from '../log/layout.ts';
import { readRow } from '../log/rows.ts';
import { encodeEscapes } from './escapes.ts';
import { layoutFor, readPage } from './export.ts';
import type { ExecuteOutcome } from './outcome.ts';
import { checkOwnership } from './ownership.ts';
import { decodeIncoming } from './received-changes.ts';
import type { Replica } from './replica.ts';
import { entryChange, entryOf, uniqueViolation } from './unique-entries.ts';

/** Entries of an index over partitions for a page of this partition's rows; `body` of the outcome is a RestoreEntriesReply. */
export function restoredEntries(replica: Replica, request: RestoreEntriesRequest): ExecuteOutcome {
  const obstacle = replica.obstacle({ ...request, read: true });
  if (obstacle !== null) return obstacle;
  const { catalogue } = replica.schema;
  const { uniques = [], references = [] } = catalogue;
  const index = [...uniques, ...references].find(({ table }) => table.id === request.index);
  const owner = catalogue.tables.find(({ id }) => id === index?.of);
  if (index === undefined || owner === undefined)
    return { kind: 'error', error: new AtollError('no-such-table', `no index ${request.index}`) };
  const after = request.after === null ? null : decodeRow(parseJson(request.after) as unknown[]);
  const { rows, next } = readPage(replica.port, owner, after);
  const layout = layoutFor(owner);
  const made = rows.flatMap((row) => {
    const entry = entryOf(index, layout, row);
    return entry === null ? [] : [entryChange(index, entry, 'create')];
  });
  const reply: RestoreEntriesReply = {
    entries: encodeEscapes(made),
    next: next === null ? null : encodeRow(next),
  };
  return { kind: 'done', body: JSON.stringify(reply) };
}

/** Takes entries that belong here. Those that are here already came with a message whose answer was lost. */
export function enterRestored(replica: Replica, request: RestoreEnterRequest, now: number): ExecuteOutcome {
  const obstacle = replica.obstacle({ ...request, read: false });
  if (obstacle !== null) return obstacle;
  const { port, schema, identity } = replica;
  try {
    port.transaction(() => {
      const layouts = readLayouts(port);
      const fresh = decodeIncoming(port, request.changes).filter((change) => {
        const entry = present(change.after, 'an entry comes');
        const there = readRow(port, layoutOf(layouts, change), entry);
        return there === null || !sameValues(there, entry);
      });
      createRows(port, fresh, layouts);
      checkOwnership(port, schema, identity);
      replica.append('write', null, now);
    });
  } catch (error) {
    return { kind: 'error', error: failureOf(uniqueViolation(replica, error)) };
  }
  return { kind: 'done', body: '{}' };
}
