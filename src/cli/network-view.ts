import { array, number, record, text } from './read-json.ts';

/** What the command line shows of `GET /v1/network`, read leniently: a newer server may say more, or less. */
export interface NetworkView {
  readonly database: string;
  readonly version: number | undefined;
  readonly schemaVersion: number | undefined;
  readonly partitions: readonly PartitionView[];
}

export interface PartitionView {
  readonly id: number;
  readonly epoch: number | undefined;
  readonly status: string | undefined;
  readonly host: string | undefined;
  /** Share of the token ring, 0 … 1. */
  readonly share: number;
  /** Tokens from `start` up to, but not including, `end`. */
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
  readonly sizeBytes: number | undefined;
  readonly schemaVersion: number | undefined;
  readonly commit: number | undefined;
  /** Transactions over several partitions that are not settled there, and since when the oldest. */
  readonly inDoubt: { readonly count: number; readonly since: string } | undefined;
}

/** Tokens are 32 bits. */
const RING = 2 ** 32;

export function networkView(reply: unknown): NetworkView {
  const network = record(reply);
  return {
    database: typeof network.database === 'string' ? network.database : 'main',
    version: number(network.version),
    schemaVersion: number(network.schemaVersion),
    partitions: array(network.partitions).map(partitionView),
  };
}

function partitionView(value: unknown): PartitionView {
  const partition = record(value);
  const ranges = array(partition.ranges)
    .map(record)
    .map((range) => ({ start: number(range.start) ?? 0, end: number(range.end) ?? 0 }));
  return {
    id: number(partition.partition) ?? -1,
    epoch: number(partition.epoch),
    status: text(partition.status),
    host: text(partition.host),
    share: ranges.reduce((sum, range) => sum + (range.end - range.start), 0) / RING,
    ranges,
    sizeBytes: number(partition.sizeBytes) ?? number(partition.size),
    schemaVersion: number(partition.schemaVersion),
    commit: number(partition.commit) ?? number(partition.lastCommitId),
    inDoubt: inDoubtView(partition.inDoubt),
  };
}

function inDoubtView(value: unknown): PartitionView['inDoubt'] {
  const [oldest, ...more] = array(value)
    .map((each) => text(record(each).since) ?? '')
    .sort();
  return oldest === undefined ? undefined : { count: more.length + 1, since: oldest };
}
