import { expect } from 'vitest';
import type { TestCluster } from '../cluster/cluster.ts';

/**
 * Two rows of `notes` in different partitions that one transaction after the other changes in the same way, while `copy` copies rows with
 * `body LIKE 'pair%'`, a statement for each number: whoever sees both alike has seen whole transactions.
 */
export async function copyPairs(cluster: TestCluster, copy: (number: number) => string): Promise<void> {
  await cluster.query("INSERT INTO notes (tenant, body) VALUES ('ann', 'pair'), ('hal', 'pair')");
  const writes = async (): Promise<void> => {
    for (let i = 0; i < 15; i++) {
      const statements = ['ann', 'hal'].map((tenant) => ({
        sql: `UPDATE notes SET body = 'pair ${i}' WHERE tenant = '${tenant}' AND body LIKE 'pair%'`,
      }));
      expect((await cluster.post('/v1/batch', { statements })).status).toBe(200);
    }
  };
  const copies = async (): Promise<void> => {
    for (let i = 0; i < 8; i++) await cluster.query(copy(i));
  };
  await Promise.all([writes(), copies()]);
}
