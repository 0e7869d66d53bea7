import { assert } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { CertifyReply, CertifyRequest } from '../../protocol/certify.ts';
import { AtollError } from '../../protocol/error.ts';
import { touchedSince } from '../log/touched.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Replica } from './replica.ts';

/** Whether what a read has seen here, as of `since`, is still so. */
export function certify(replica: Replica, request: CertifyRequest): CertifyReply {
  // Only a leader knows that nothing came after what it has.
  assert(!replica.follows, 'a follower certifies nothing');
  const certified = isUnchanged(replica, request);
  return { certified, system: replica.isSystem ? replica.feedIndex : replica.systemIndex };
}

function isUnchanged(replica: Replica, { epoch, schema, since, tables }: CertifyRequest): boolean {
  if (epoch !== replica.identity.epoch || schema !== replica.schema.version) return false;
  const ids = new Set(tables.map((name) => tableId(replica.schema, name)));
  // What is prepared here may have been decided elsewhere already, and seen there.
  const shared = [...ids].map((table) => ({ table, token: null, exclusive: false }));
  if (replica.locks.blockers(shared).length > 0) return false;
  return !touchedSince(replica.port, since, ids);
}

function tableId(schema: Schema, name: string): TableId {
  const table = schema.table(name);
  if (table === undefined) {
    throw new AtollError(
      'bad-request',
      `'certify' names ${name}, which schema ${schema.version} does not have`,
      'none',
    );
  }
  return table.id;
}
