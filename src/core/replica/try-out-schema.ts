import { trySchemaChange } from '../schema/apply-change.ts';
import type { SchemaChange } from '../schema/change.ts';
import { planSchemaChange } from '../schema/plan-change.ts';
import { rehearse } from './rehearse.ts';
import type { Replica } from './replica.ts';

/**
 * Of the system partition: plans the change, and makes it with the rows that are here: reference tables have all of theirs. Both is
 * undone. Null: the statements change nothing.
 *
 * @throws AtollError or SqliteError
 */
export function tryOutSchema(
  { port, schema }: Replica,
  sources: readonly string[],
  now: number,
): SchemaChange | null {
  const plan = rehearse(port, () => planSchemaChange(port, schema.catalogue, sources, now));
  if (plan === null) return null;
  const { restoring } = schema.catalogue;
  const change = restoring === undefined ? plan : { ...plan, catalogue: { ...plan.catalogue, restoring } };
  rehearse(port, () => trySchemaChange(port, schema.catalogue, change));
  return change;
}
