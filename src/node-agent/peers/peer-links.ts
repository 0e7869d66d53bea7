import { setTimeout as sleep } from 'node:timers/promises';
import type { PartitionId } from '../../base/brand.ts';
import { linkClose } from '../../protocol/link.ts';
import type { Dialler } from '../../rpc/dial.ts';
import { HandshakeError } from '../../rpc/handshake.ts';
import type { LinkHandlers } from '../../rpc/link.ts';
import { backoffMs } from '../../rpc/reconnect.ts';
import { dialLink } from '../links/dial.ts';
import type { OpenLink } from '../links/open-link.ts';
import { type LogEvent, messageOf } from '../log.ts';

/** A link between agents serves all partitions; its path must name one. */
const ANY_PARTITION = 0 as PartitionId;
/** A link that carried nothing for this long is closed by who dialled it, ms (chosen). */
const IDLE_MS = 60_000;
/** Links that a host without an address keeps open, used or not, so that others reach it (chosen: some kB each, and a ping now and then). */
const LASTING_MAX = 32;
/** A member that does not answer the dialler for so long is called another way meanwhile, ms (chosen: of what a read may take). */
const DIAL_MS = 2_000;
/** How often an open link is asked whether it lives, ms (chosen: rarely; a call that is not answered asks, too). */
const PING_MS = 20_000;

export interface PeerLinksOptions {
  /** Base URLs of a member; none: it is reached by a relay, or over the link that it has opened. */
  readonly addresses: (host: string) => readonly string[];
  readonly dialler: () => Dialler;
  /** What this host answers on a link to that member. */
  readonly handlers: (host: string) => LinkHandlers;
  /** Whether others can dial this host. If not, what it has dialled is the only way to it when no relay is in reach. */
  readonly canBeDialled: () => boolean;
  readonly log: LogEvent;
  readonly idleMs?: number;
}

interface Way {
  readonly open: OpenLink;
  /** Whether this host has dialled it. */
  readonly own: boolean;
  usedAt: number;
}

/** Direct links to other agents: opened when they are needed, by either side, and closed when nobody has used them for long. */
export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #ways = new Map<string, Way>();
  readonly #dialling = new Map<string, Promise<OpenLink | null>>();
  /** Attempts in a row that failed, and until when, Unix ms, there is no other. */
  readonly #failures = new Map<string, { readonly count: number; readonly until: number }>();
  readonly #tidying: ReturnType<typeof setInterval>;
  #stopped = false;

  constructor(options: PeerLinksOptions) {
    this.#options = options;
    this.#tidying = setInterval(() => this.#closeIdle(), (options.idleMs ?? IDLE_MS) / 4);
  }

  /** Hosts with an open link. */
  get open(): readonly string[] {
    return [...this.#ways.keys()];
  }

  /**
   * The link to the host, opened if need be; null: it cannot be reached directly now, or not before `deadline` (Unix ms). `onlyWay`: there is no relay, so one that
   * could not be dialled a moment ago is dialled again.
   */
  async to(host: string, deadline: number, onlyWay = false): Promise<OpenLink | null> {
    const way = this.#ways.get(host);
    if (way !== undefined) {
      way.usedAt = Date.now();
      return way.open;
    }
    const resting = !onlyWay && (this.#failures.get(host)?.until ?? 0) > Date.now();
    if (this.#stopped || resting || this.#options.addresses(host).length === 0) return null;
    const dialling = this.#dialling.get(host) ?? this.#begin(host);
    const patience = Math.min(DIAL_MS, deadline - Date.now());
    const impatient = new AbortController();
    const late = sleep(Math.max(0, patience), null, { signal: impatient.signal, ref: false }).catch(
      () => null,
    );
    try {
      return await Promise.race([dialling, late]);
    } finally {
      impatient.abort();
    }
  }

  /** A member has dialled this host: what is for it can go the same way. */
  accepted(open: OpenLink): void {
    if (!this.#ways.has(open.peer.host)) this.#keep(open, false);
  }

  /** Something has come over the link of that host. */
  used(host: string): void {
    const way = this.#ways.get(host);
    if (way !== undefined) way.usedAt = Date.now();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#tidying);
    for (const { open } of this.#ways.values()) open.close(1000, 'the agent stops');
  }

  #begin(host: string): Promise<OpenLink | null> {
    const dialling = this.#dial(host).finally(() => this.#dialling.delete(host));
    this.#dialling.set(host, dialling);
    return dialling;
  }

  async #dial(host: string): Promise<OpenLink | null> {
    const { addresses, dialler, handlers, log } = this.#options;
    for (const url of addresses(host)) {
      try {
        const { open } = await dialLink({
          url,
          partition: ANY_PARTITION,
          // Whoever else answers there is not who is meant.
          dialler: { ...dialler(), expects: host },
          handlers: handlers(host),
          pingEveryMs: PING_MS,
          log,
        });
        if (this.#stopped) open.close(1000, 'the agent stops');
        this.#failures.delete(host);
        this.#keep(open, true);
        return open;
      } catch (error) {
        const another = error instanceof HandshakeError && error.closeCode === linkClose.notAuthentic;
        log(another ? 'error' : 'info', another ? 'peer-is-another' : 'peer-not-reached', {
          host,
          url,
          message: messageOf(error),
        });
      }
    }
    const count = (this.#failures.get(host)?.count ?? 0) + 1;
    // Not before half of the bound: until then the relay is quicker than to try again.
    const pause = backoffMs(count + 3, 0.5 + Math.random() / 2);
    this.#failures.set(host, { count: Math.min(count, 16), until: Date.now() + pause });
    return null;
  }

  #keep(open: OpenLink, own: boolean): void {
    const { host } = open.peer;
    const way: Way = { open, own, usedAt: Date.now() };
    this.#ways.set(host, way);
    void open.closed.then((reason) => {
      if (this.#ways.get(host) === way) this.#ways.delete(host);
      this.#options.log('debug', 'peer-link-closed', { host, reason });
    });
  }

  #closeIdle(): void {
    const { canBeDialled, idleMs = IDLE_MS } = this.#options;
    const oldest = Date.now() - idleMs;
    let lasting = canBeDialled() ? 0 : LASTING_MAX;
    for (const { open, own, usedAt } of this.#ways.values()) {
      if (!own || lasting-- > 0 || usedAt >= oldest) continue;
      open.close(1000, 'idle');
    }
  }
}
