import { present } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import { linkClose } from '../../protocol/link.ts';
import type { Dialler } from '../../rpc/dial.ts';
import { HandshakeError } from '../../rpc/handshake.ts';
import type { LinkHandlers } from '../../rpc/link.ts';
import { BACKOFF_MAX_MS, backoffMs } from '../../rpc/reconnect.ts';
import type { LogEvent } from '../log.ts';
import { type DialledLink, dialLink } from './dial.ts';
import type { OpenLink } from './open-link.ts';

export interface StandingLinkOptions {
  /** Base URLs to try, one after the other; asked for at each attempt. */
  readonly urls: () => readonly string[];
  readonly partition: PartitionId;
  /** Who dials: asked for at each attempt, as its history becomes known. */
  readonly dialler: () => Dialler;
  readonly handlers: LinkHandlers;
  readonly pingEveryMs: number;
  readonly log: LogEvent;
  /** A link is open; what follows is up to the caller, until it ends. */
  readonly onOpen: (link: DialledLink) => void;
  /** The other side does not want this host: waiting alone changes nothing. The link is tried again, rarely. */
  readonly onRefused?: (error: HandshakeError) => void;
  /** An attempt has failed otherwise: nothing is there, or the way is cut. */
  readonly onUnreached?: (message: string) => void;
}

/** A link that ends sooner counts as one that was not opened, so that attempts slow down, ms (chosen). */
const LASTING_MS = 5_000;

/** After so many attempts that failed in a row nobody waits for the next one (chosen). */
const FAILURES_AWAY = 2;

/** Refusals that an operator must see to. */
const REFUSALS: ReadonlySet<number> = new Set([
  linkClose.notAuthentic,
  linkClose.otherHistory,
  linkClose.version,
]);

/** A link that is opened again whenever it ends, with growing, jittered pauses between attempts that fail. */
export class StandingLink {
  readonly #options: StandingLinkOptions;
  #open: OpenLink | null = null;
  #failures = 0;
  #attempts = 0;
  #stopped = false;
  #pause: { readonly timer: ReturnType<typeof setTimeout>; readonly over: () => void } | null = null;
  readonly #waiting = new Set<(open: OpenLink | null) => void>();
  readonly #running: Promise<void>;

  constructor(options: StandingLinkOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The link, if it is open at this moment. */
  get open(): OpenLink | null {
    return this.#open;
  }

  /**
   * The link, once it is open.
   *
   * @throws AtollError `unavailable`, outcome `none`, when it is not by `deadline` (Unix ms), or was found to be away
   */
  async ready(deadline: number): Promise<OpenLink> {
    if (this.#open !== null) return this.#open;
    const isAway = this.#stopped || this.#failures >= FAILURES_AWAY;
    if (!isAway) this.hurry();
    const opened = isAway
      ? null
      : await new Promise<OpenLink | null>((resolve) => {
          const done = (open: OpenLink | null): void => {
            clearTimeout(timer);
            this.#waiting.delete(done);
            resolve(open);
          };
          const timer = setTimeout(() => done(null), Math.max(0, deadline - Date.now()));
          this.#waiting.add(done);
        });
    if (opened !== null) return opened;
    const { partition } = this.#options;
    throw new AtollError(
      'unavailable',
      `this agent has no link to partition ${partition} at the moment`,
      'none',
    );
  }

  /** Ends the link for good. */
  async stop(reason: string): Promise<void> {
    this.#stopped = true;
    for (const done of this.#waiting) done(null);
    this.#open?.close(1000, reason);
    this.hurry();
    await this.#running;
  }

  /** Ends the pause before the next attempt: the other side is wanted, or likely to be back. */
  hurry(): void {
    this.#pause?.over();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const lasted = await this.#attempt();
      if (this.#stopped) return;
      this.#failures = lasted ? 0 : this.#failures + 1;
      await this.#wait(lasted ? 0 : backoffMs(this.#failures, Math.random()));
    }
  }

  /** Opens the link and waits until it ends. False: it was not opened, or not for long. */
  async #attempt(): Promise<boolean> {
    const { urls, partition, dialler, handlers, pingEveryMs, log, onOpen } = this.#options;
    const candidates = urls();
    const url = present(candidates[this.#attempts++ % candidates.length], 'there is an address to dial');
    let dialled: DialledLink;
    try {
      dialled = await dialLink({ url, partition, dialler: dialler(), handlers, pingEveryMs, log });
    } catch (error) {
      this.#refused(url, error);
      return false;
    }
    const { open } = dialled;
    if (this.#stopped) {
      open.close(1000, 'stopping');
      return true;
    }
    this.#open = open;
    log('info', 'link-open', { partition, url, host: open.peer.host });
    onOpen(dialled);
    for (const done of this.#waiting) done(open);
    const openedAt = performance.now();
    const reason = await open.closed;
    this.#open = null;
    if (!this.#stopped) log('warn', 'link-lost', { partition, url, reason });
    return performance.now() - openedAt >= LASTING_MS;
  }

  #refused(url: string, error: unknown): void {
    const { partition, log, onRefused, onUnreached } = this.#options;
    const refused = error instanceof HandshakeError && REFUSALS.has(error.closeCode);
    const message = error instanceof Error ? error.message : String(error);
    log(refused ? 'error' : 'warn', refused ? 'link-refused' : 'link-failed', { partition, url, message });
    if (refused) onRefused?.(error);
    else onUnreached?.(message);
  }

  #wait(milliseconds: number): Promise<void> {
    if (milliseconds > BACKOFF_MAX_MS) throw new RangeError(`a pause of ${milliseconds} ms`);
    return new Promise((resolve) => {
      const over = (): void => {
        clearTimeout(timer);
        this.#pause = null;
        resolve();
      };
      const timer = setTimeout(over, milliseconds);
      this.#pause = { timer, over };
    });
  }
}
