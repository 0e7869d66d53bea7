import type { Catalogue } from '../../core/schema/catalogue.ts';
import type { HostInfo, NetworkReply } from '../../protocol/network.ts';
import type { LogEvent } from '../log.ts';

/** What the system partition answers to `network`, whoever has passed it on. */
export type Reply = NetworkReply<Catalogue>;

/** Where it came from: this host's replica, the leader itself, another agent, or what was kept of these on disk. */
export type NetworkSource = 'replica' | 'leader' | 'gossip' | 'disk';

/** Statuses of a host that was voted in: core/network/status.ts. */
const ACCEPTED: ReadonlySet<string> = new Set(['inactive', 'read', 'write', 'unavailable']);

/**
 * The newest network information that this host has seen, from wherever. It never goes back to an older version, and
 * takes none of another history.
 */
export class NewestNetwork {
  readonly #log: LogEvent;
  readonly #onTaken: (reply: Reply, source: NetworkSource) => void;
  #reply: Reply | null = null;
  #hosts: ReadonlyMap<string, HostInfo> = new Map();
  /** Of the cluster that this host belongs to; null until anything says so. */
  #history: string | null;

  constructor(
    history: string | null,
    log: LogEvent,
    onTaken: (reply: Reply, source: NetworkSource) => void = () => undefined,
  ) {
    this.#history = history;
    this.#log = log;
    this.#onTaken = onTaken;
  }

  get reply(): Reply | null {
    return this.#reply;
  }

  get history(): string | null {
    return this.#history;
  }

  /** Whether it is in force now. An older version, or the same, changes nothing. */
  take(reply: Reply, source: NetworkSource): boolean {
    const { history, version, hosts } = reply.network;
    if (this.#history !== null && this.#history !== history) {
      this.#log('error', 'network-of-another-history', { source, history, own: this.#history });
      return false;
    }
    if (this.#reply !== null && version <= this.#reply.network.version) return false;
    this.#history = history;
    this.#reply = reply;
    this.#hosts = new Map(hosts.map((host) => [host.host, host]));
    this.#onTaken(reply, source);
    return true;
  }

  /** The member of that id; null if it is none, as far as this host knows. */
  member(host: string): HostInfo | null {
    const known = this.#hosts.get(host);
    return known !== undefined && ACCEPTED.has(known.status) ? known : null;
  }

  /** Agents that are members. */
  get agents(): readonly HostInfo[] {
    return [...this.#hosts.values()].filter(({ kind, status }) => kind === 'agent' && ACCEPTED.has(status));
  }
}
