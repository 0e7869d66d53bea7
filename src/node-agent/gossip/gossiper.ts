import { Gossip, type GossipEvent } from '../../core/network/gossip.ts';
import { type GossipDocument, parseGossipMessage } from '../../core/network/gossip-message.ts';
import { hostMessage } from '../../protocol/hosts.ts';
import type { LogEvent } from '../log.ts';
import { networkDocument, readNetworkDocument } from './network-document.ts';
import type { NetworkSource, NewestNetwork, Reply } from './newest-network.ts';

export interface GossiperOptions {
  readonly host: string;
  readonly network: NewestNetwork;
  /** Members that a message may get to now. */
  readonly peers: () => readonly string[];
  /** Sends what may be lost. */
  readonly tell: (host: string, type: string, head: unknown) => void;
  readonly log: LogEvent;
}

/** Tells other agents of the newest network information, and takes it from them: core/network/gossip.ts over links. */
export class Gossiper {
  readonly #options: GossiperOptions;
  readonly #gossip: Gossip;
  /** The document that was looked at last, and what it says: it is checked before it is taken. */
  #read: { readonly document: GossipDocument; readonly reply: Reply } | null = null;
  /** The version of which another text was seen last: said once. */
  #conflicting = 0;

  constructor(options: GossiperOptions) {
    this.#options = options;
    const { host, network } = options;
    const { reply } = network;
    const document = reply === null ? null : networkDocument(reply);
    this.#gossip = new Gossip({ host, document, check: (each) => this.#check(each) });
  }

  /** This host has a newer one, from wherever but here. */
  changed(reply: Reply, source: NetworkSource): void {
    if (source !== 'gossip') this.#report(null, this.#gossip.changed(networkDocument(reply)));
  }

  tick(): void {
    const { tell, peers } = this.#options;
    for (const { to, message } of this.#gossip.tick(peers(), Math.random))
      tell(to, hostMessage.gossip, message);
  }

  receive(from: string, head: unknown): void {
    const { tell, log } = this.#options;
    const message = parseGossipMessage(head);
    if (message === null) {
      log('warn', 'gossip-unreadable', { host: from });
      return;
    }
    const { send, event } = this.#gossip.receive(from, message);
    this.#report(from, event);
    for (const { to, message: answer } of send) tell(to, hostMessage.gossip, answer);
  }

  #check(document: GossipDocument): string | null {
    const reply = readNetworkDocument(document);
    if (typeof reply === 'string') return reply;
    const { history } = this.#options.network;
    if (history === null) return 'this host does not know yet which cluster it belongs to';
    if (reply.network.history !== history) return `it is of history ${reply.network.history}`;
    this.#read = { document, reply };
    return null;
  }

  #report(from: string | null, event: GossipEvent | null): void {
    const { log, network } = this.#options;
    if (event === null) return;
    if (event.kind !== 'taken') {
      if (event.kind === 'conflict' && event.version === this.#conflicting) return;
      if (event.kind === 'conflict') this.#conflicting = event.version;
      log('warn', `gossip-${event.kind}`, { host: from, ...event });
      return;
    }
    const { version } = event.document;
    if (from === null || this.#read?.document !== event.document) return;
    const { reply } = this.#read;
    this.#read = null;
    log('info', 'network-by-gossip', { version, host: from });
    network.take(reply, 'gossip');
  }
}
