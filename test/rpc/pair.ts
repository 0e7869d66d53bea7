import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import type { LinkClock } from '../../src/rpc/clock.ts';
import { Link, type LinkHandlers, type LinkOptions } from '../../src/rpc/link.ts';

/** Time that stands still until it is told to go on. */
export class ManualClock implements LinkClock {
  #now = 1_700_000_000_000;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): () => void {
    const timer = { at: this.#now + delayMs, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get waiting(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers].sort((left, right) => left.at - right.at)) {
      if (timer.at <= this.#now && this.#timers.delete(timer)) timer.action();
    }
  }
}

/** One side and what it has sent, which goes nowhere by itself. */
export interface Side {
  readonly link: Link;
  readonly sent: Uint8Array[];
  readonly closes: { readonly code: number; readonly reason: string }[];
  readonly failures: { readonly thrown: unknown; readonly type: string }[];
  readonly ends: string[];
}

export function sideOf(
  host: string,
  clock: LinkClock,
  handlers: Partial<LinkHandlers> = {},
  options: Partial<LinkOptions> = {},
): Side {
  const sent: Uint8Array[] = [];
  const closes: Side['closes'] = [];
  const failures: Side['failures'] = [];
  const ends: string[] = [];
  const link = new Link(
    { send: (bytes) => sent.push(bytes), close: (code, reason) => closes.push({ code, reason }) },
    { host, publicKey: null, version: RPC_VERSION },
    { calls: {}, events: {}, ...handlers },
    {
      failed: (thrown, type) => failures.push({ thrown, type }),
      ended: (reason) => ends.push(reason),
      clock,
      ...options,
    },
  );
  return { link, sent, closes, failures, ends };
}

/** Carries frames both ways until neither side has any. */
export async function carry(left: Side, right: Side): Promise<void> {
  do {
    for (const bytes of left.sent.splice(0)) right.link.receive(bytes);
    for (const bytes of right.sent.splice(0)) left.link.receive(bytes);
    // Handlers run in promises; a macrotask comes after all of them.
    await new Promise((resolve) => setImmediate(resolve));
  } while (left.sent.length + right.sent.length > 0);
}
