import type { PartitionId } from '../base/brand.ts';
import type { PartitionMessage, PartitionTransport } from '../gateway/transport.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../protocol/rpc.ts';

/** The object of a partition; the name is for ever, since it decides which object holds the data. */
export function partitionObjectName(database: string, partition: PartitionId): string {
  return `${database}/${partition}`;
}

/** Calls partitions as Durable Objects of the same Worker. */
export class DurableObjectTransport implements PartitionTransport {
  readonly #namespace: DurableObjectNamespace;
  /** `idFromName` hashes the name each time it is asked. */
  readonly #ids = new Map<string, DurableObjectId>();

  constructor(namespace: DurableObjectNamespace) {
    this.#namespace = namespace;
  }

  call(database: string, partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const name = partitionObjectName(database, partition);
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.#namespace.idFromName(name);
      this.#ids.set(name, id);
    }
    // A stub that has thrown stays broken, so each call takes a new one.
    return this.#namespace.get(id).fetch(`http://partition/${message.type}`, {
      method: 'POST',
      headers: {
        [RPC_HEADER]: String(RPC_VERSION),
        [TRACE_HEADER]: message.trace,
        [DEADLINE_HEADER]: String(message.deadline),
      },
      body: message.body,
      ...(message.signal && { signal: message.signal }),
    });
  }
}
