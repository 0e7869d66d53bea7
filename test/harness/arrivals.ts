import type { SimulatedAgent } from './agent.ts';
import type { Outside, SimulatedCopy } from './agent-copy.ts';
import type { EdgeRegistry } from './edge-registry.ts';
import type { EdgeShipping } from './edge-shipping.ts';
import type { Link, Packet, Reply, Request, Wire } from './wire.ts';

/** Whom packets reach. */
export interface Reached {
  readonly agents: readonly SimulatedAgent[];
  readonly registry: EdgeRegistry;
  edge(partition: number): EdgeShipping;
  copyOf(host: string, partition: number): SimulatedCopy | null;
  /** The furthest that a host's copy ever was, durably. */
  reached(host: string, partition: number): number;
  checkVersion(agent: SimulatedAgent): void;
}

/** What happens when a packet arrives, and what must hold then. */
export class Arrivals {
  readonly #outside: Outside;
  readonly #wire: Wire;
  readonly #cluster: Reached;

  constructor(outside: Outside, wire: Wire, cluster: Reached) {
    this.#outside = outside;
    this.#wire = wire;
    this.#cluster = cluster;
  }

  arrive(packet: Packet): void {
    if (packet.to === 'peer') {
      const agent = this.#cluster.agents.find(({ address }) => address === packet.address);
      if (agent === undefined || !agent.isUp || agent.isolated) return;
      this.#outside.note(`peer ${agent.host} ${packet.message.kind}`);
      agent.guarded(() => agent.receiveGossip(packet.from, packet.message));
      this.#cluster.checkVersion(agent);
      return;
    }
    const { link } = packet;
    if (packet.to === 'edge') {
      if (!link.edgeOpen) return;
      this.#outside.note(`to edge ${link.host}/${link.partition} ${nameOf(packet)}`);
      this.#toEdge(packet);
      return;
    }
    const { message } = packet;
    const agent = this.#cluster.agents.find(({ host }) => host === link.host);
    if (agent === undefined || !agent.isUp || !link.agentOpen) return;
    this.#outside.note(`to ${link.host}/${link.partition} ${nameOf(packet)}`);
    agent.guarded(() => agent.receive(link, message));
    this.#cluster.checkVersion(agent);
    const position = agent.copy(link.partition)?.position;
    this.#outside.note(`${agent.host}/${link.partition} at ${position?.commitId ?? '-'}`);
  }

  #toEdge({ link, message }: Packet & { to: 'edge' }): void {
    const edge = this.#cluster.edge(link.partition);
    if (message.type === 'appended') {
      const { host, partition } = link;
      const { commitId } = message.answer.position;
      const reached = this.#cluster.reached(host, partition);
      const strayed = this.#cluster.copyOf(host, partition)?.strayed === true;
      if (commitId > reached && !strayed)
        throw new Error(
          `${host} has confirmed commit ${commitId} of partition ${partition}, and never had more than ${reached}`,
        );
      edge.acknowledged(link, message.answer);
      this.#checkMatched(edge, link);
      return;
    }
    const { call, request } = message;
    if (request.type === 'follow') {
      if (call < link.lastFollow) return;
      link.lastFollow = call;
    }
    const reply = link.replies.get(call) ?? this.#answer(link, request);
    if (reply === null || !link.edgeOpen) return;
    link.replies.set(call, reply);
    this.#wire.send({ to: 'agent', link, message: { type: 'reply', call, reply } });
    if (request.type === 'follow') {
      edge.ship();
      this.#checkMatched(edge, link);
    }
  }

  #answer(link: Link, request: Request): Reply | null {
    if (request.type === 'join' || request.type === 'heartbeat' || request.type === 'vote')
      return this.#cluster.registry.receive(link, request);
    return this.#cluster.edge(link.partition).receive(link, request);
  }

  /** What the leader takes for certain of a follower is so. */
  #checkMatched(edge: EdgeShipping, { host, partition, agentOpen }: Link): void {
    const copy = this.#cluster.copyOf(host, partition);
    if (copy === null || copy.strayed || !agentOpen || edge.hostsTwice(host)) return;
    const matched = edge.matched.get(host);
    const position = copy.position?.commitId ?? 0;
    if (matched !== undefined && matched > position)
      throw new Error(
        `the leader of partition ${partition} takes ${host} to have ${matched}, and it has ${position}`,
      );
  }
}

function nameOf({ message }: Packet & { to: 'edge' | 'agent' }): string {
  if (message.type === 'call') return message.request.type;
  if (message.type === 'reply') return `reply ${message.reply.type}`;
  if (message.type === 'appended') return `${message.answer.kind} ${message.answer.position.commitId}`;
  return message.type;
}
