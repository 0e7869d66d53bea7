import type { PartitionId } from '../../base/brand.ts';
import { readError } from '../../gateway/database.ts';
import type { PartitionMessage, PartitionTransport } from '../../gateway/transport.ts';
import type { Peers } from '../../partition/surroundings.ts';
import { AtollError } from '../../protocol/error.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../protocol/rpc.ts';
import { type DataDirectory, partitionFile } from '../data-directory.ts';
import { LedPartition, type LedPartitionOptions } from './led-partition.ts';

/** How long a partition waits for another one, ms (chosen: as between objects). */
const CALL_MS = 10_000;

export interface LedPartitionsOptions extends Pick<LedPartitionOptions, 'key' | 'secret' | 'seal' | 'log'> {
  readonly directory: DataDirectory;
  readonly database: string;
  readonly partitions: readonly PartitionId[];
}

/** All partitions of a database, led by this host: as the router reaches them, and each other. */
export class LedPartitions implements PartitionTransport, Peers {
  readonly #database: string;
  readonly #partitions: ReadonlyMap<PartitionId, LedPartition>;

  constructor({ directory, database, partitions, key, secret, seal, log }: LedPartitionsOptions) {
    this.#database = database;
    this.#partitions = new Map(
      partitions.map((partition) => {
        const file = partitionFile(directory.path, { database, partition });
        return [
          partition,
          new LedPartition({ partition, file, key, secret, seal, peers: this, log }),
        ] as const;
      }),
    );
  }

  get all(): readonly LedPartition[] {
    return [...this.#partitions.values()].sort((a, b) => a.partition - b.partition);
  }

  /** @throws AtollError */
  of(partition: PartitionId): LedPartition {
    const led = this.#partitions.get(partition);
    if (led === undefined)
      throw new AtollError('not-found', `there is no partition ${partition} here`, 'none');
    return led;
  }

  async call(database: string, partition: PartitionId, message: PartitionMessage): Promise<Response>;
  async call<Answer>(
    database: string,
    partition: PartitionId,
    type: string,
    message: unknown,
    milliseconds?: number,
  ): Promise<Answer>;
  async call(
    database: string,
    partition: PartitionId,
    what: PartitionMessage | string,
    body?: unknown,
    milliseconds = CALL_MS,
  ): Promise<unknown> {
    if (typeof what !== 'string') return this.#send(database, partition, what);
    const deadline = Date.now() + milliseconds;
    const message = { type: what, body: JSON.stringify(body), deadline, trace: '' };
    const response = await this.#send(database, partition, message);
    if (!response.ok) throw await readError(response);
    return response.json();
  }

  #send(
    database: string,
    partition: PartitionId,
    { type, body, deadline, trace }: PartitionMessage,
  ): Promise<Response> {
    if (database !== this.#database) throw new AtollError('not-found', `there is no database '${database}'`);
    const request = new Request(`http://partition/${type}`, {
      method: 'POST',
      headers: {
        [RPC_HEADER]: String(RPC_VERSION),
        [TRACE_HEADER]: trace,
        [DEADLINE_HEADER]: String(deadline),
      },
      body: typeof body === 'string' ? body : new Uint8Array(body),
    });
    return this.of(partition).server.fetch(request);
  }

  close(): void {
    for (const led of this.#partitions.values()) led.close();
  }
}
