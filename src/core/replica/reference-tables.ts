import type { TableId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ExecuteRequest, WireStatement } from '../../protocol/execute.ts';
import type { TransactRequest } from '../../protocol/transaction.ts';
import type { Plan } from '../plan/plan.ts';
import type { Replica } from './replica.ts';
import { earlierOutcome } from './requests.ts';

/** The reference tables that statements may write, by their plans; all of them where that cannot be told. */
export function writtenReferences(replica: Replica, statements: readonly WireStatement[]): TableId[] {
  const written = new Set<TableId>();
  for (const { sql } of statements) {
    const plan = replica.planOf(sql);
    if (plan?.kind !== 'reference-write') return referenceTables(replica);
    for (const name of [...plan.tables.reference, ...plan.reaches]) {
      const table = replica.schema.table(name);
      if (table !== undefined) written.add(table.id);
    }
  }
  return [...written];
}

/**
 * Those that a request may write still: none if it was committed already, under its key.
 *
 * @throws AtollError `idempotency-conflict`; `bad-request` where it is to be a transaction over partitions
 */
export function yetToWrite(replica: Replica, request: ExecuteRequest): TableId[] {
  if (earlierOutcome(replica, request) !== null) return [];
  // Of a router that has planned by another schema, it is told that one first.
  if (request.schema === replica.schema.version)
    for (const { sql } of request.statements) refuseAlone(replica.planOf(sql));
  return writtenReferences(replica, request.statements);
}

/** The other partitions would not hear of what their rows refer to. */
function refuseAlone(plan: Plan | null): void {
  if (plan?.kind !== 'reference-write' || plan.referring === undefined) return;
  throw new AtollError(
    'bad-request',
    `rows of ${plan.referring.join(', ')} may refer to what it takes away: every partition has a part in such a transaction`,
  );
}

/** Of a transaction: those that its part here, in the system partition, which anchors it, may write. */
export function writtenByTransaction(replica: Replica, { parts }: TransactRequest): TableId[] {
  const own = parts.find(({ partition, read }) => partition === replica.identity.partition && !read);
  if (own === undefined) return [];
  // Of an interactive transaction's script: all that it may.
  return own.script === undefined ? writtenReferences(replica, own.statements) : referenceTables(replica);
}

export function referenceTables({ schema }: Replica): TableId[] {
  return schema.catalogue.tables.flatMap(({ id, placement }) => (placement.kind === 'reference' ? [id] : []));
}
