import type { PartitionId } from '../../base/brand.ts';
import { HEARTBEAT_MS } from '../../core/network/heartbeat.ts';
import { candidatesFor } from '../../gateway/replica-choice.ts';
import type { PartitionMessage } from '../../gateway/transport.ts';
import { AtollError } from '../../protocol/error.ts';
import type { CarriedCall } from '../../protocol/link.ts';
import { EDGE_HOST } from '../../protocol/link.ts';
import type { Dialler } from '../../rpc/dial.ts';
import type { LinkHandlers, Message } from '../../rpc/link.ts';
import type { Others } from '../agent-transport.ts';
import { Gossiper } from '../gossip/gossiper.ts';
import { KeptNetwork } from '../gossip/kept-network.ts';
import { NewestNetwork, type Reply } from '../gossip/newest-network.ts';
import type { OpenLink } from '../links/open-link.ts';
import { type LogEvent, messageOf } from '../log.ts';
import type { PartitionCopy } from '../replication/partition-copy.ts';
import type { LocalAnswer } from '../storage/calls.ts';
import { PeerCalls } from './peer-calls.ts';
import { PeerLinks } from './peer-links.ts';
import { RoundTrips } from './round-trips.ts';

/** How often this host sees whether there is something to tell others or to measure, ms (chosen: as often as it is heard from). */
const TICK_MS = HEARTBEAT_MS;
/** What another replica may take to answer while the leader could be asked, ms (chosen: longer reads are the leader's then). */
const PATIENCE_MS = 3_000;

export interface NeighboursOptions {
  /** This host's id. */
  readonly host: string;
  /** Its data directory. */
  readonly directory: string;
  /** Of the cluster that it belongs to, as its directory says; null before it is a member. */
  readonly history: string | null;
  readonly dialler: () => Dialler;
  /** What it answers to another agent. */
  readonly handlers: (host: string) => LinkHandlers;
  /** The link to the system partition, if it is open. */
  readonly control: () => OpenLink | null;
  /** Its replica of the system partition; null: it has none yet. */
  readonly systemCopy: () => PartitionCopy | null;
  /** What that replica says of the network. */
  readonly readNetwork: (copy: PartitionCopy) => Promise<LocalAnswer | null>;
  readonly log: LogEvent;
}

/** The other members: what is known of them, how far they are, how they are called, and what they are told. */
export class Neighbours implements Others {
  readonly network: NewestNetwork;
  readonly #options: NeighboursOptions;
  readonly #links: PeerLinks;
  readonly #calls: PeerCalls;
  readonly #roundTrips: RoundTrips;
  readonly #gossiper: Gossiper;
  /** Of the replica when it was last looked at. */
  #lookedAt = 0;
  #looking: Promise<void> | null = null;
  #ticking: ReturnType<typeof setTimeout> | null = null;
  #stopped = false;

  constructor(options: NeighboursOptions) {
    const { host, directory, history, dialler, handlers, control, log } = options;
    this.#options = options;
    const kept = new KeptNetwork(directory);
    this.network = new NewestNetwork(history, log, (reply, source) => {
      if (source === 'leader' || source === 'gossip') kept.keep(reply, log);
      this.#gossiper.changed(reply, source);
    });
    this.#links = new PeerLinks({
      addresses: (each) => this.network.member(each)?.addresses ?? [],
      dialler,
      handlers,
      canBeDialled: () => dialler().address !== null,
      log,
    });
    this.#calls = new PeerCalls({ links: this.#links, control, log });
    this.#roundTrips = new RoundTrips(this.#links);
    this.#gossiper = new Gossiper({
      host,
      network: this.network,
      peers: () => this.#reachable(control() !== null),
      tell: (to, type, head) => this.#calls.tell(to, type, head),
      log,
    });
    const known = kept.read(log);
    // What is left of a former life of the directory belongs to nobody.
    if (known !== null && known.network.history === history) this.network.take(known, 'disk');
  }

  /** Begins to tell and to measure. */
  async start(): Promise<void> {
    await this.look();
    this.#tick();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#ticking !== null) clearTimeout(this.#ticking);
    this.#links.stop();
  }

  /** Round trips to other agents, ms, by host. */
  get latencies(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#roundTrips.latencies);
  }

  /** A host has dialled this one. What it may do is judged by what it asks. */
  accepted(open: OpenLink): void {
    if (this.network.member(open.peer.host) !== null) this.#links.accepted(open);
  }

  heard(host: string): void {
    this.#links.used(host);
  }

  gossip(from: string, head: unknown): void {
    this.#gossiper.receive(from, head);
  }

  /** The host that leads all partitions: the edge, or an agent where the cluster was recovered. */
  get leader(): string {
    return this.network.reply?.network.partitions[0]?.host ?? EDGE_HOST;
  }

  async candidates(partition: PartitionId): Promise<readonly string[]> {
    await this.look();
    const { reply } = this.network;
    if (reply === null) return [];
    const { host, control } = this.#options;
    const latencies = new Map(this.#roundTrips.latencies);
    const edgeMs = control()?.latencyMs ?? null;
    if (edgeMs !== null) latencies.set(this.leader, edgeMs);
    return candidatesFor(partition, reply.network, host, latencies).filter((each) => each !== host);
  }

  async ask(
    host: string,
    partition: PartitionId,
    message: PartitionMessage,
    deadline: number,
    again: boolean,
  ): Promise<Message> {
    const { type, body, trace, freshness } = message;
    const head = { traceparent: trace, partition, ...(freshness && { freshness }) } satisfies CarriedCall;
    const data = typeof body === 'string' ? Buffer.from(body) : body;
    // With the leader in reach, nobody needs to wait long for a host that may be gone without a word.
    const isLast = deadline === message.deadline;
    const patient = isLast || this.#options.control() === null;
    const until = patient ? deadline : Math.min(deadline, Date.now() + PATIENCE_MS);
    try {
      return await this.#calls.call(host, type, head, data, until, again);
    } catch (error) {
      if (error instanceof AtollError && (error.code === 'timeout' || error.outcome === 'unknown'))
        this.#roundTrips.forget(host);
      throw error;
    }
  }

  async newest(): Promise<Reply | null> {
    await this.look();
    return this.network.reply;
  }

  learned(reply: Reply): void {
    this.network.take(reply, 'leader');
  }

  /** Sees whether this host's replica of the system partition knows of a newer network. Never throws. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) =>
        this.#options.log('error', 'network-not-read', { message: messageOf(error) }),
      )
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const copy = this.#options.systemCopy();
    const commit = copy?.position?.commitId ?? 0;
    if (copy === null || commit === 0 || commit === this.#lookedAt) return;
    const answer = await this.#options.readNetwork(copy);
    if (answer === null) return;
    this.#lookedAt = commit;
    this.network.take(JSON.parse(answer.body) as Reply, 'replica');
  }

  /** Agents that follow and that a message may get to: by an address, over a link that is open, and if need be handed on. */
  #reachable(handedOn: boolean): readonly string[] {
    const linked = new Set(this.#links.open);
    return this.network.agents
      .filter(({ host, addresses = [] }) => handedOn || addresses.length > 0 || linked.has(host))
      .map(({ host }) => host)
      .filter((each) => each !== this.#options.host && each !== this.leader);
  }

  #tick(): void {
    if (this.#stopped) return;
    void this.look().then(() => {
      this.#gossiper.tick();
      this.#roundTrips.measure(this.#reachable(false));
    });
    // At its own time, so that hosts do not all speak at once.
    this.#ticking = setTimeout(() => this.#tick(), TICK_MS * (0.75 + Math.random() / 2));
  }
}
