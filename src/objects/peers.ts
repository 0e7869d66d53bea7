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
    const impatience = new AbortController();
    const call = {
      type,
      body: JSON.stringify(message),
      deadline: Date.now() + milliseconds,
      trace: '',
      signal: impatience.signal,
    };
    // Not AbortSignal.timeout, which goes on when the answer is there: an object may have 10,000 timers at a time (imposed), and a busy
    // anchor asks a thousand times a second.
    const timer = setTimeout(
      () => impatience.abort(new Error(`not within ${milliseconds} ms`)),
      milliseconds,
    );
    try {
      const response = await this.#transport.call(database, partition, call).catch((error: unknown) => {
        // Its reset, or its silence, is no defect of the partition that asks.
        const message = `partition ${partition} does not answer: ${String(error)}`;
        throw new AtollError('unavailable', message, 'none');
      });
      if (response.ok) return (await response.json()) as Answer;
      throw await readError(response);
    } finally {
      clearTimeout(timer);
    }
  }
}
