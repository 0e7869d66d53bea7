import { AtollError } from '../../protocol/error.ts';
import type { PartitionStatus } from '../../protocol/network.ts';
import type { CallContext, Database } from '../database.ts';
import { fanOut } from '../fan-out.ts';
import { READ } from '../lost.ts';

/** Partitions asked at a time (chosen: their answers are small). */
const PARALLEL_MAX = 32;
/** What a partition may take to say how it is, ms (chosen: a scrape does not wait for one that is away). */
const STATUS_MS = 3_000;

/** Gauges of every partition that answers, in Prometheus' text format. */
export async function partitionMetrics(database: Database, context: CallContext): Promise<string> {
  const { information } = await database.refresh(context);
  const deadline = Math.min(context.deadline, Date.now() + STATUS_MS);
  const statuses = await fanOut(information.partitions, PARALLEL_MAX, async ({ id }) => {
    try {
      return await database.ask<PartitionStatus>(id, 'status', {}, { ...context, deadline }, READ);
    } catch (error) {
      // It shows by its absence.
      if (error instanceof AtollError) return null;
      throw error;
    }
  });
  const present = statuses.filter((status) => status !== null);
  const now = Date.now();
  return (
    gauge('atoll_partition_bytes', 'Size of the file, log included.', present, ({ sizeBytes }) => sizeBytes) +
    logMetrics(present, now) +
    gauge(
      'atoll_transactions_in_doubt',
      'Transactions over several partitions that are prepared and not decided, or decided and not applied by all.',
      present,
      ({ inDoubt }) => inDoubt.length,
    ) +
    gauge(
      'atoll_transactions_in_doubt_seconds',
      'Age of the oldest of them; 0 for none.',
      present,
      ({ inDoubt }) => Math.max(0, ...inDoubt.map(({ since }) => (now - Date.parse(since)) / 1000)),
    )
  );
}

/** Of the log; of hosts that measure it. */
function logMetrics(statuses: readonly PartitionStatus[], now: number): string {
  const logs = statuses.flatMap((status) =>
    status.log === undefined ? [] : [{ ...status, log: status.log }],
  );
  const held = logs.flatMap(({ partition, log }) =>
    Object.entries(log.held).map(
      ([by, entries]) => `atoll_log_held_entries{partition="${partition}",by="${by}"} ${entries}\n`,
    ),
  );
  return (
    gauge('atoll_log_bytes', 'Row images in the log, about.', logs, ({ log }) => log.bytes) +
    gauge('atoll_log_oldest_seconds', 'Age of the oldest moment that can be read.', logs, ({ log }) =>
      log.oldestAt === null ? 0 : Math.max(0, (now - Date.parse(log.oldestAt)) / 1000),
    ) +
    '# HELP atoll_log_held_entries Entries of the log that are kept past the retention, by what needs them.\n' +
    `# TYPE atoll_log_held_entries gauge\n${held.join('')}`
  );
}

function gauge<Status extends PartitionStatus>(
  name: string,
  help: string,
  statuses: readonly Status[],
  value: (status: Status) => number,
): string {
  const lines = statuses.map((status) => `${name}{partition="${status.partition}"} ${value(status)}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`;
}
