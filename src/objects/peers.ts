import type { PartitionId } from '../base/brand.ts';
import { readError } from '../gateway/database.ts';
import type { Peers } from '../partition/surroundings.ts';
import { AtollError } from '../protocol/error.ts';
import { DurableObjectTransport } from '../workers/transport.ts';

/** How long a partition waits for another one, ms (chosen: well below a request's own deadline). */
const CALL_MS = 10_000;

/** The other partitions, as Durable Objects of the same Worker. */
export class ObjectPeers implements Peers {
  readonly #transport: DurableObjectTransport;

  constructor(namespace: DurableObjectNamespace) {
    this.#transport = new DurableObjectTransport(namespace);
  }

  async call<Answer>(
    database: string,
    partition: PartitionId,
    type: string,
    message: unknown,
    milliseconds = CALL_MS,
  ): Promise<Answer> {
    const call = {
      type,
      body: JSON.stringify(message),
      deadline: Date.now() + milliseconds,
      trace: '',
      signal: AbortSignal.timeout(milliseconds),
    };
    let response: Response;
    try {
      response = await this.#transport.call(database, partition, call);
    } catch (error) {
      // Its reset, or its silence, is no defect of the partition that asks.
      throw new AtollError('unavailable', `partition ${partition} does not answer: ${String(error)}`, 'none');
    }
    if (response.ok) return (await response.json()) as Answer;
    throw await readError(response);
  }
}
