import type { PartitionId } from '../base/brand.ts';
import { readError } from '../gateway/database.ts';
import type { Peers } from '../partition/surroundings.ts';
import { AtollError } from '../protocol/error.ts';
import { DurableObjectTransport } from '../workers/transport.ts';
import { Deadlines } from './deadlines.ts';

/** How long a partition waits for another one, ms (chosen: well below a request's own deadline). */
const CALL_MS = 10_000;

/** The other partitions, as Durable Objects of the same Worker. */
export class ObjectPeers implements Peers {
  readonly #transport: DurableObjectTransport;
  readonly #deadlines = new Deadlines();

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
    const call = { type, body: JSON.stringify(message), deadline: Date.now() + milliseconds, trace: '' };
    const answer = this.#transport
      .call(database, partition, call)
      .then(answerIn<Answer>, (error: unknown) => {
        // Its reset is no defect of the partition that asks.
        throw silent(partition, String(error));
      });
    return this.#deadlines.within(answer, milliseconds, () =>
      silent(partition, `not within ${milliseconds} ms`),
    );
  }
}

async function answerIn<Answer>(response: Response): Promise<Answer> {
  if (response.ok) return (await response.json()) as Answer;
  throw await readError(response);
}

function silent(partition: PartitionId, why: string): AtollError {
  return new AtollError('unavailable', `partition ${partition} does not answer: ${why}`, 'none');
}
