import { Gossip, type GossipEvent } from '../../src/core/network/gossip.ts';
import {
  documentOf,
  type GossipDocument,
  type GossipMessage,
} from '../../src/core/network/gossip-message.ts';
import { HEARTBEAT_MS } from '../../src/core/network/heartbeat.ts';
import { networkVersion } from '../../src/core/replica/network-version.ts';
import { System } from '../../src/core/replica/system.ts';
import type { HostInfo } from '../../src/protocol/network.ts';
import { type Outside, SimulatedCopy, type Speaker } from './agent-copy.ts';
import { Crash } from './faulty-port.ts';
import type { Link, Reply, Request, ToAgent, ToEdge, Wire } from './wire.ts';

const JOIN_MS = 1_000;
const REFUSED_MS = 10_000;
const ACCEPTED: ReadonlySet<string> = new Set(['inactive', 'read', 'write', 'unavailable']);
const GB = 2 ** 30;

/** What an agent needs of the network. */
export interface AgentNetwork {
  readonly wire: Wire;
  /** Null while there is no way to the object. */
  dial(agent: SimulatedAgent, partition: number): Link | null;
  /** A vote that was really cast. */
  cast(host: string, proposal: number, accept: boolean): void;
}

/** An agent: what is on its disk outlives its process, which outlives its links. */
export class SimulatedAgent implements Speaker {
  readonly host: string;
  address: string;
  /** Added to the true time, ms. */
  clockOff = 0;
  isUp = true;
  /** Cannot be reached by, nor reach, other agents. */
  isolated = false;
  /** Partitions whose objects it cannot reach. */
  readonly cut = new Set<number>();
  status: string | null = null;
  readonly copies = new Map<number, SimulatedCopy>();
  readonly links = new Map<number, Link>();
  readonly #outside: Outside;
  readonly #network: AgentNetwork;
  /** On its disk. */
  #known: GossipDocument | null = null;
  #gossip: Gossip;
  #calls = new Map<number, (reply: Reply) => void>();
  #lastCall = 0;
  #nextAt = 0;

  constructor(host: string, address: string, outside: Outside, network: AgentNetwork) {
    this.host = host;
    this.address = address;
    this.#outside = outside;
    this.#network = network;
    this.#gossip = this.#newGossip();
  }

  #newGossip(): Gossip {
    return new Gossip({ host: this.host, document: this.#known, check: () => null });
  }

  /** The network information that it acts on. */
  get document(): GossipDocument | null {
    return this.#gossip.document;
  }

  get nextAt(): number {
    return this.#nextAt;
  }

  get now(): number {
    return this.#outside.now + this.clockOff;
  }

  copy(partition: number): SimulatedCopy | null {
    return this.copies.get(partition) ?? null;
  }

  // --- Its process ---------------------------------------------------------------------------------------

  /** Runs a step of the process. */
  guarded(body: () => void): void {
    try {
      body();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#outside.coverage.followerCrashes++;
      this.#outside.note(`${this.host} crashes`);
      this.stop(this.#outside.random.chance(0.3));
      this.start();
    }
  }

  stop(power: boolean): void {
    this.isUp = false;
    for (const partition of [...this.links.keys()]) this.disconnect(partition);
    this.#calls.clear();
    for (const copy of this.copies.values()) copy.ended(power);
  }

  start(): void {
    this.isUp = true;
    this.status = null;
    this.#nextAt = 0;
    for (const copy of this.copies.values()) copy.started();
    const version = this.document?.version ?? 0;
    this.#gossip = this.#newGossip();
    if ((this.document?.version ?? 0) < version)
      throw new Error(`${this.host} has lost network information ${version}`);
  }

  /** Everything on the disk is gone. */
  wipe(): void {
    for (const copy of this.copies.values()) copy.close();
    this.copies.clear();
    this.#known = null;
    this.#gossip = this.#newGossip();
  }

  // --- Its links -----------------------------------------------------------------------------------------

  disconnect(partition: number): void {
    const link = this.links.get(partition);
    if (link === undefined) return;
    link.agentOpen = false;
    this.links.delete(partition);
    this.copies.get(partition)?.disconnected();
  }

  #link(partition: number): Link | null {
    const known = this.links.get(partition);
    if (known !== undefined) return known;
    if (this.cut.has(partition)) return null;
    const link = this.#network.dial(this, partition);
    if (link !== null) this.links.set(partition, link);
    return link;
  }

  call(partition: number, request: Request, done: (reply: Reply) => void): boolean {
    const link = this.#link(partition);
    if (link === null) return false;
    const call = ++this.#lastCall;
    this.#calls.set(call, done);
    this.#network.wire.send({ to: 'edge', link, message: { type: 'call', call, request } });
    return true;
  }

  send(partition: number, message: ToEdge): void {
    const link = this.links.get(partition);
    if (link !== undefined) this.#network.wire.send({ to: 'edge', link, message });
  }

  receive({ partition }: Link, message: ToAgent): void {
    const copy = this.copies.get(partition);
    if (message.type === 'reply') {
      const done = this.#calls.get(message.call);
      this.#calls.delete(message.call);
      done?.(message.reply);
    } else if (message.type === 'append') copy?.append(this, message.head, message.data);
    else if (message.type === 'follow-again') copy?.followAgain(this);
    else this.#vote(message.proposal);
    if (partition === 0 && copy?.follower != null) this.#learn(copy);
  }

  #vote(proposal: number): void {
    // The same whenever it is asked.
    const accept = (proposal * 7 + this.host.length) % 11 !== 0;
    this.#network.cast(this.host, proposal, accept);
    const times = this.#outside.random.chance(0.5) ? 2 : 1;
    for (let i = 0; i < times; i++) this.call(0, { type: 'vote', proposal, accept }, () => undefined);
  }

  // --- Its membership ------------------------------------------------------------------------------------

  tick(): void {
    const { now } = this;
    // A ping that is not answered.
    for (const [partition, { edgeOpen }] of [...this.links])
      if (!edgeOpen && this.#outside.random.chance(0.5)) this.disconnect(partition);
    this.#link(0);
    if (now >= this.#nextAt) {
      if (this.status !== null && ACCEPTED.has(this.status)) this.#beat();
      else this.#join();
    }
    for (const copy of this.copies.values()) copy.tick(this);
    for (let i = this.links.has(0) ? 1 : 3; i > 0; i--) this.#gossipTick();
  }

  /** What keeps it waiting is over. */
  wake(): void {
    this.#nextAt = 0;
    for (const copy of this.copies.values()) copy.wake();
  }

  #join(): void {
    const { host, now } = this;
    const offer = {
      host,
      name: null,
      publicKey: `key of ${host}`,
      addresses: [this.address],
      database: 'main',
      history: this.copies.get(0)?.follower == null ? null : 'h',
      time: now,
      freeBytes: 100 * GB,
      totalBytes: 200 * GB,
      cpuRating: 100,
    };
    this.#nextAt = now + JOIN_MS;
    this.call(0, { type: 'join', offer }, (reply) => {
      if (reply.type !== 'join') return;
      this.status = reply.status;
      if (ACCEPTED.has(reply.status)) this.#nextAt = 0;
      else if (reply.status === 'proposal') this.#nextAt = this.now + JOIN_MS;
      else this.#nextAt = this.now + (reply.retryAfterMs ?? REFUSED_MS);
    });
  }

  #beat(): void {
    const { now } = this;
    this.#nextAt = now + HEARTBEAT_MS;
    const replicas = [...this.copies.values()].map((copy) => ({
      partition: copy.partition,
      matched: copy.position?.commitId ?? 0,
      leaderLast: copy.leaderLast,
      lagMs: copy.lagMs(this.#outside.now),
    }));
    const beat = {
      time: now,
      freeBytes: 90 * GB,
      totalBytes: 200 * GB,
      heldBytes: GB,
      cpuRating: 100,
      addresses: [this.address],
      latencies: { edge: 10 },
      replicas,
    };
    this.call(0, { type: 'heartbeat', beat }, (reply) => {
      if (reply.type !== 'heartbeat') return;
      this.status = reply.status;
      if (ACCEPTED.has(reply.status)) this.#assign(reply.replicas);
      else this.#nextAt = 0;
    });
  }

  /** Holds what it shall hold, and lets go of the rest. */
  #assign(wanted: readonly number[]): void {
    for (const partition of new Set([0, ...wanted])) {
      if (this.copies.has(partition)) continue;
      this.copies.set(partition, new SimulatedCopy(this.host, partition, this.#outside));
    }
    for (const [partition, copy] of this.copies) {
      if (partition === 0 || wanted.includes(partition)) continue;
      this.disconnect(partition);
      copy.close();
      this.copies.delete(partition);
    }
  }

  // --- What it knows of the network ----------------------------------------------------------------------

  /** From its own replica of the system partition. */
  #learn(copy: SimulatedCopy): void {
    const replica = copy.follower?.replica;
    if (replica === undefined || copy.strayed) return;
    const version = networkVersion(replica.port);
    if (version <= (this.document?.version ?? 0)) return;
    const document = documentOf(version, JSON.stringify(System.open(replica).network()));
    this.#after(this.#gossip.changed(document));
  }

  #gossipTick(): void {
    if (this.isolated) return;
    const peers = [...this.#peers().keys()];
    const { random, note } = this.#outside;
    for (const { to, message } of this.#gossip.tick(peers, () => random.next())) {
      note(`gossip ${this.host} to ${to} ${message.kind}`);
      this.#tell(to, message);
    }
  }

  receiveGossip(from: string, message: GossipMessage): void {
    if (this.#outside.mutant === 'older-document-taken' && message.kind === 'document') {
      this.#known = message.document;
      this.#gossip = this.#newGossip();
      return;
    }
    const known = this.document?.version ?? 0;
    if (message.kind === 'document') {
      if (message.document.version > known) this.#outside.coverage.gossipHeard++;
      else this.#outside.coverage.gossipLate++;
    }
    const { send, event } = this.#gossip.receive(from, message);
    this.#after(event);
    for (const { to, message: answer } of send) this.#tell(to, answer);
  }

  #tell(to: string, message: GossipMessage): void {
    const address = this.#peers().get(to);
    if (address === undefined || this.isolated) return;
    this.#network.wire.send({ to: 'peer', from: this.host, address, message });
  }

  #after(event: GossipEvent | null): void {
    const { coverage, note } = this.#outside;
    if (event === null) return;
    if (event.kind !== 'taken') throw new Error(`${this.host}: gossip has a ${JSON.stringify(event)}`);
    coverage.gossipTaken++;
    note(`${this.host} knows network information ${event.document.version}`);
    this.#known = event.document;
  }

  /** Addresses of other agents, as it knows them. */
  #peers(): Map<string, string> {
    const { document } = this;
    if (document === null) return new Map();
    const { hosts } = JSON.parse(document.body) as { hosts: HostInfo[] };
    return new Map(
      hosts.flatMap(({ host, addresses }) => {
        const address = addresses?.[0];
        return address === undefined || host === this.host ? [] : [[host, address] as const];
      }),
    );
  }
}

/** Copies that answer, and are not about to find out that they must not. */
export function readableCopies(
  agents: readonly SimulatedAgent[],
): { readonly host: string; readonly copy: SimulatedCopy }[] {
  return agents
    .flatMap(({ host, isUp, copies }) => (isUp ? [...copies.values()].map((copy) => ({ host, copy })) : []))
    .filter(({ copy }) => copy.follower !== null && !copy.strayed);
}
