import type { TableId } from '../../base/brand.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import type { TransactRequest } from '../../protocol/transaction.ts';
import type { Replica } from './replica.ts';

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

/** Of a transaction: those that its part in the system partition, which anchors it, may write. */
export function writtenByTransaction(replica: Replica, { parts }: TransactRequest): TableId[] {
  if (!replica.isSystem) return [];
  const own = parts.find(({ partition, read }) => partition === replica.identity.partition && !read);
  return own === undefined ? [] : writtenReferences(replica, own.statements);
}

export function referenceTables({ schema }: Replica): TableId[] {
  return schema.catalogue.tables.flatMap(({ id, placement }) => (placement.kind === 'reference' ? [id] : []));
}
