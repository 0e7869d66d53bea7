import * as v from 'valibot';
import type { PartitionId } from '../base/brand.ts';
import { AtollError } from '../protocol/error.ts';
import { hostMessage, Probe, type ProbeReply, Relayed } from '../protocol/hosts.ts';
import type { CallHandler, Message } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';
import type { AgentTransport } from './agent-transport.ts';
import { measureSpace } from './measures.ts';
import type { PartitionCopy } from './replication/partition-copy.ts';

export interface ServingOptions {
  readonly directory: string;
  readonly transport: AgentTransport;
  readonly copy: (partition: PartitionId) => PartitionCopy | null;
  /** As the system partition last said; null before. */
  readonly status: () => string | null;
}

/** Of a relayed message of routers: which partition it is for, as no path says it. */
const RelayedHead = v.object({ partition: v.pipe(v.number(), v.integer(), v.minValue(0)) });

/** What this host answers to others, over whichever link they ask. */
export class Serving {
  readonly #options: ServingOptions;

  constructor(options: ServingOptions) {
    this.#options = options;
  }

  readonly calls: Readonly<Record<string, CallHandler>> = {
    [hostMessage.probe]: async ({ head }) => {
      readHead(Probe, hostMessage.probe, head);
      const { directory, status } = this.#options;
      const { freeBytes } = await measureSpace(directory);
      return reply({ time: Date.now(), status: status() ?? 'unknown', freeBytes } satisfies ProbeReply);
    },
    [hostMessage.relayed]: ({ head, data }) => {
      const { type, head: inner } = readHead(Relayed, hostMessage.relayed, head);
      const { partition } = readHead(RelayedHead, type, inner);
      return this.carried(partition as PartitionId, type, data);
    },
  };

  /**
   * A read that another host's router sends here. What this replica cannot answer is an error whose outcome is `none`:
   * the router goes on to the next host.
   */
  async carried(partition: PartitionId, type: string, body: Uint8Array): Promise<Message> {
    const { copy, transport } = this.#options;
    const held = copy(partition);
    if (held === null)
      throw new AtollError('not-found', `this host has no replica of partition ${partition}`, 'none');
    const answer = await transport.answer(held, type, Buffer.from(body).toString());
    if (answer === null) {
      throw new AtollError(
        'unavailable',
        `the replica of partition ${partition} here cannot answer '${type}'`,
        'none',
      );
    }
    return { head: { status: answer.status }, data: Buffer.from(answer.body) };
  }
}

function reply(head: unknown): Message {
  return { head, data: new Uint8Array(0) };
}
