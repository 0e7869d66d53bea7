import type { PartitionInfo, PartitionStatus } from '../protocol/network.ts';
import type { CallContext, Database } from './database.ts';
import { fanOut } from './fan-out.ts';
import { READ } from './lost.ts';

/** Partitions asked at a time (chosen: their answers are small). */
const PARALLEL_MAX = 32;
/** What a partition may take to say how it is, ms (chosen: the view shows that one does not answer). */
const STATUS_MS = 3_000;

/**
 * `GET /v1/network`: docs/api.md. With `wake`, the system partition and every other one are asked; without, no object
 * is, unless this router knows nothing yet.
 */
export async function networkView(database: Database, context: CallContext, wake: boolean): Promise<unknown> {
  const { information } = await (wake ? database.refresh(context) : database.network(context));
  const { version, history, schemaVersion, hosts, partitions } = information;
  const views = wake
    ? await fanOut(partitions, PARALLEL_MAX, (each) => viewOf(database, each, context))
    : partitions.map(viewOfKnown);
  return { database: database.name, version, history, schemaVersion, hosts, partitions: views };
}

function viewOfKnown({ id, ...known }: PartitionInfo) {
  return { partition: id, ...known };
}

async function viewOf(database: Database, partition: PartitionInfo, context: CallContext): Promise<unknown> {
  const known = viewOfKnown(partition);
  const deadline = Math.min(context.deadline, Date.now() + STATUS_MS);
  try {
    const { schema, systemIndex, hold, sizeBytes, commit, committedAt, inDoubt } =
      await database.ask<PartitionStatus>(partition.id, 'status', {}, { ...context, deadline }, READ);
    return { ...known, schemaVersion: schema, sizeBytes, commit, committedAt, systemIndex, hold, inDoubt };
  } catch (error) {
    return { ...known, error: error instanceof Error ? error.message : String(error) };
  }
}
