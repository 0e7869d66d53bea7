import type { TableId } from '../../base/brand.ts';
import type { ExecuteRequest, WireStatement } from '../../protocol/execute.ts';
import type { TransactRequest } from '../../protocol/transaction.ts';
import type { Replica } from './replica.ts';
import { earlierAnswer } from './requests.ts';

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

/** Those that a request may write still: none if it was committed already, under its key. @throws AtollError `idempotency-conflict` */
export function yetToWrite(replica: Replica, request: ExecuteRequest): TableId[] {
  return earlierAnswer(replica, request) === null ? writtenReferences(replica, request.statements) : [];
}

/** Of a transaction: those that its part here, in the system partition, which anchors it, may write. */
export function writtenByTransaction(replica: Replica, { parts }: TransactRequest): TableId[] {
  const own = parts.find(({ partition, read }) => partition === replica.identity.partition && !read);
  return own === undefined ? [] : writtenReferences(replica, own.statements);
}

export function referenceTables({ schema }: Replica): TableId[] {
  return schema.catalogue.tables.flatMap(({ id, placement }) => (placement.kind === 'reference' ? [id] : []));
}
