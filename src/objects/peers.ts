import type { PartitionId } from '../base/brand.ts';
import { AtollError, isErrorCode } from '../protocol/error.ts';
import { DurableObjectTransport } from '../workers/transport.ts';

/** How long a partition waits for another one, ms (chosen: well below a request's own deadline). */
const CALL_MS = 10_000;

/** The other partitions of the database. */
export class Peers {
  readonly #transport: DurableObjectTransport;

  constructor(namespace: DurableObjectNamespace) {
    this.#transport = new DurableObjectTransport(namespace);
  }

  /** Sends one message and reads the answer; throws the AtollError that the peer answers with. */
  async call<Answer>(
    database: string,
    partition: PartitionId,
    type: string,
    message: unknown,
  ): Promise<Answer> {
    const response = await this.#transport.call(database, partition, {
      type,
      body: JSON.stringify(message),
      deadline: Date.now() + CALL_MS,
      trace: '',
      signal: AbortSignal.timeout(CALL_MS),
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as Answer;
    throw readError(text, partition);
  }
}

function readError(text: string, partition: PartitionId): AtollError {
  const { error } = JSON.parse(text) as {
    error: { code: string; message: string; outcome: 'none' | 'unknown' };
  };
  const code = isErrorCode(error.code) ? error.code : 'internal';
  return new AtollError(code, error.message, error.outcome, { partition });
}
