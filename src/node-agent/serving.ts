import type { PartitionId } from '../base/brand.ts';
import type { Freshness } from '../gateway/freshness.ts';
import { AtollError } from '../protocol/error.ts';
import { type HostList, hostMessage, Probe, type ProbeReply, Relayed } from '../protocol/hosts.ts';
import { CarriedCall } from '../protocol/link.ts';
import type { CallHandler, LinkHandlers, Message } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';
import type { AgentTransport } from './agent-transport.ts';
import { measureSpace } from './measures.ts';
import type { Neighbours } from './peers/neighbours.ts';
import type { PartitionCopy } from './replication/partition-copy.ts';

export interface ServingOptions {
  readonly directory: string;
  readonly transport: AgentTransport;
  readonly copy: (partition: PartitionId) => PartitionCopy | null;
  /** As the system partition last said; null before. */
  readonly status: () => string | null;
  /** Why this host must not answer reads now; null: it may. */
  readonly refusal: () => AtollError | null;
  readonly neighbours: Neighbours;
}

/** What this host answers to others, over whichever link they ask. */
export class Serving {
  readonly #options: ServingOptions;

  constructor(options: ServingOptions) {
    this.#options = options;
  }

  /** On a link to an object: what the system partition hands on is served as if it came over a link of its sender. */
  readonly atEdge: Readonly<Record<string, CallHandler>> = {
    [hostMessage.probe]: (message) => this.#probe(message),
    [hostMessage.relayed]: ({ head, data }, { host }, deadline) => {
      if (host !== this.#options.neighbours.leader)
        throw new AtollError('forbidden', 'only the host that leads hands calls on', 'none');
      const { from, type, head: inner } = readHead(Relayed, hostMessage.relayed, head);
      return this.#serve(type, { head: inner, data }, from, deadline);
    },
  };

  /** On a link with another agent, whoever has dialled it. `partition`: of the link's path. */
  peer(host: string, partition: PartitionId): LinkHandlers {
    const { neighbours } = this.#options;
    return {
      calls: {},
      anyCall: (type, message, _, deadline) => {
        neighbours.heard(host);
        return this.#serve(type, message, host, deadline, partition);
      },
      events: {
        [hostMessage.gossip]: ({ head }) => {
          neighbours.heard(host);
          // An event has no answer that could say why not.
          if (neighbours.network.member(host) !== null) neighbours.gossip(host, head);
        },
      },
    };
  }

  async #serve(
    type: string,
    message: Message,
    from: string,
    deadline: number,
    ofPath: PartitionId | null = null,
  ): Promise<Message> {
    // A voter asks it of a newcomer, which knows nobody yet.
    if (type === hostMessage.probe) return this.#probe(message);
    await this.#checkMember(from);
    if (type === hostMessage.hostList) return this.#hostList();
    if (type === hostMessage.gossip) {
      this.#options.neighbours.gossip(from, message.head);
      return reply({});
    }
    const { partition = ofPath, freshness } = readHead(CarriedCall, type, message.head);
    if (partition === null) throw new AtollError('bad-request', `'${type}' names no partition`, 'none');
    // As `freshnessOf` has made it.
    const demand = freshness as Freshness | undefined;
    return this.#read(partition as PartitionId, type, message.data, demand, deadline);
  }

  /**
   * A read that another host's router sends here. What this replica cannot answer is an error whose outcome is `none`:
   * the router goes on to the next host.
   */
  async #read(
    partition: PartitionId,
    type: string,
    data: Uint8Array,
    freshness: Freshness | undefined,
    deadline: number,
  ): Promise<Message> {
    const { copy, transport, refusal } = this.#options;
    const refused = refusal();
    if (refused !== null) throw refused;
    const held = copy(partition);
    if (held === null)
      throw new AtollError('not-found', `this host has no replica of partition ${partition}`, 'none');
    if (type === 'execute' && freshness === undefined)
      throw new AtollError('unavailable', `this host does not lead partition ${partition}`, 'none');
    const body = Buffer.from(data).toString();
    const answer =
      freshness === undefined
        ? await transport.answer(held, type, body)
        : await transport.fresh(held, { type, body, deadline }, freshness);
    if (answer !== null) return { head: { status: answer.status }, data: Buffer.from(answer.body) };
    throw new AtollError(
      'unavailable',
      `the replica of partition ${partition} here cannot answer this '${type}'`,
      'none',
    );
  }

  async #probe({ head }: Message): Promise<Message> {
    readHead(Probe, hostMessage.probe, head);
    const { directory, status } = this.#options;
    const { freeBytes } = await measureSpace(directory);
    return reply({ time: Date.now(), status: status() ?? 'unknown', freeBytes } satisfies ProbeReply);
  }

  #hostList(): Message {
    const { network } = this.#options.neighbours.network.reply ?? { network: { version: 0, hosts: [] } };
    const hosts = network.hosts.map(({ host, status, publicKey = null, addresses = [] }) => ({
      host,
      status,
      publicKey,
      addresses: [...addresses],
    }));
    return reply({ version: network.version, hosts } satisfies HostList);
  }

  /** Who has the secret may propose itself to the cluster; members alone see what is in it. */
  async #checkMember(host: string): Promise<void> {
    const { neighbours } = this.#options;
    if (neighbours.network.member(host) !== null) return;
    await neighbours.look();
    if (neighbours.network.member(host) !== null) return;
    throw new AtollError(
      'forbidden',
      `host ${host} is no member of this cluster, as far as is known here`,
      'none',
    );
  }
}

function reply(head: unknown): Message {
  return { head, data: new Uint8Array(0) };
}
