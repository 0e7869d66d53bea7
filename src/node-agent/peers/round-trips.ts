import { type LatencyWindow, latencyOf, observe } from '../../core/network/topology.ts';
import { hostMessage, ProbeReply } from '../../protocol/hosts.ts';
import { readHead } from '../../rpc/read-head.ts';
import type { PeerLinks } from './peer-links.ts';

/** How often the way to each member is measured, ms (chosen: routes change rarely, and it opens a link). */
const MEASURE_EVERY_MS = 120_000;
/** The same where the last attempt has failed, ms (chosen: it may just have started). */
const AGAIN_MS = 20_000;
/** Probes of one measurement (chosen: the first one warms the way up; the least of all counts). */
const PROBES = 4;
const PROBE_MS = 2_000;
/** Members measured at a time (chosen: a new host must not dial hundreds at once). */
const PARALLEL_MAX = 4;

/** Round trips to other agents, by probes over direct links: a relay's would be that of another way. */
export class RoundTrips {
  readonly #links: PeerLinks;
  readonly #windows = new Map<string, LatencyWindow>();
  /** When the next measurement is due, Unix ms. */
  readonly #dueAt = new Map<string, number>();
  #measuring = 0;

  constructor(links: PeerLinks) {
    this.#links = links;
  }

  /** ms, by host. */
  get latencies(): ReadonlyMap<string, number> {
    const known = [...this.#windows].flatMap(([host, window]): [string, number][] => {
      const ms = latencyOf(window);
      return ms === null ? [] : [[host, Math.round(ms * 1000) / 1000]];
    });
    return new Map(known);
  }

  /** It has not answered: nobody knows how far it is until it is measured again. */
  forget(host: string): void {
    this.#windows.delete(host);
    const dueAt = this.#dueAt.get(host);
    if (dueAt !== undefined && dueAt !== Number.POSITIVE_INFINITY)
      this.#dueAt.set(host, Math.min(dueAt, Date.now() + AGAIN_MS));
  }

  /** Measures those of `hosts` whose turn it is, and forgets the others. */
  measure(hosts: readonly string[]): void {
    for (const known of [this.#windows, this.#dueAt]) {
      for (const host of known.keys()) if (!hosts.includes(host)) known.delete(host);
    }
    const now = Date.now();
    for (const host of hosts) {
      if (this.#measuring >= PARALLEL_MAX) return;
      if ((this.#dueAt.get(host) ?? 0) > now) continue;
      this.#dueAt.set(host, Number.POSITIVE_INFINITY);
      this.#measuring++;
      void this.#probe(host).then((everyMs) => {
        this.#measuring--;
        // Each at its own time, lest all hosts measure at once.
        this.#dueAt.set(host, Date.now() + everyMs * (0.75 + Math.random() / 2));
      });
    }
  }

  /** Gives when to measure again, ms. Never throws: a host that does not answer is one whose distance is not known. */
  async #probe(host: string): Promise<number> {
    try {
      for (let i = 0; i < PROBES; i++) {
        const deadline = Date.now() + PROBE_MS;
        const open = await this.#links.to(host, deadline);
        if (open === null) throw new Error(`there is no direct way to host ${host}`);
        const sentAt = performance.now();
        const reply = await open.link.call(hostMessage.probe, { time: Date.now() }, { deadline });
        const roundTripMs = performance.now() - sentAt;
        readHead(ProbeReply, hostMessage.probe, reply.head);
        this.#windows.set(host, observe(this.#windows.get(host) ?? [], roundTripMs));
      }
      return MEASURE_EVERY_MS;
    } catch {
      this.#windows.delete(host);
      return AGAIN_MS;
    }
  }
}
