import { AtollError } from '../../protocol/error.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../../protocol/json-value.ts';
import type { LookupReply, LookupRequest } from '../../protocol/lookup.ts';
import { storedAs } from '../schema/affinity.ts';
import { tokenOfKey } from '../schema/partition-key.ts';
import { keyColumns } from '../schema/placement.ts';
import { bindExact, selectExact } from '../sqlite/exact.ts';
import type { ExecuteOutcome } from './outcome.ts';
import type { Replica } from './replica.ts';
import { encodeBatch } from './reply.ts';

/** Finds an entry of an index over partitions; `body` of the outcome is a {@link LookupReply}. */
export function lookUp(replica: Replica, request: LookupRequest): ExecuteOutcome {
  const obstacle = replica.obstacle({ ...request, read: true });
  if (obstacle !== null) return obstacle;
  const { schema, port, locks } = replica;
  const index = schema.catalogue.uniques?.find(({ table }) => table.id === request.index);
  if (index === undefined)
    return { kind: 'error', error: new AtollError('no-such-table', `no index ${request.index}`) };
  // A router of RPC version 2 does not know that an index may lack entries.
  if (index.state === 'filling') {
    const message = `the index ${request.index} is being built: read without it`;
    return { kind: 'error', error: new AtollError('schema-conflict', message, 'none') };
  }
  const { table, columns } = index;
  const key = keyColumns(table);
  const values = decodeRow(parseJson(request.values) as unknown[]);
  const holders = locks.blockers([{ table: table.id, token: tokenOfKey(values, key), exclusive: false }]);
  if (holders.length > 0) return { kind: 'locked', holders };
  const bound = columns.map((_, i) => bindExact(storedAs(values[i] ?? null, key[i]?.affinity ?? 'BLOB')));
  const where = bound.map(({ sql }, i) => `v${i} = ${sql}`).join(' AND ');
  const [entry] = selectExact(
    port,
    table.columns.map(({ name }) => name),
    `FROM ${table.name} WHERE ${where}`,
    bound.map(({ binding }) => binding),
  );
  const reply: LookupReply = {
    entry: entry === undefined ? null : encodeRow(entry),
    seen: encodeBatch(replica, []),
  };
  return { kind: 'done', body: JSON.stringify(reply) };
}
