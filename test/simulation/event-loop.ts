import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { Random } from '../harness/random.ts';

/** Something that has a clock of its own: a router, a partition's host, a client. */
export interface Actor {
  readonly name: string;
  /** What its clock is ahead, ms; may be changed at any time. */
  clockOffsetMs: number;
  /** False once it has died: what was to happen on it does not. */
  alive: boolean;
}

/** Something that is to happen. */
export interface Event {
  readonly at: number;
  readonly order: number;
  readonly actor: Actor;
  readonly run: () => void;
  /** It will not happen after all. */
  cancelled: boolean;
}

/** What the storage of a superseded instance says. */
export const SUPERSEDED = 'the instance was superseded';

/** Turns of the real event loop after each event (measured: the bodies of requests take two). */
const TURNS = 2;

/** Unix ms of clocks that are right, when a run begins. */
export const START_MS = 1_700_000_000_000;

/**
 * Simulated time and everything that happens in it, one event after another; what code does asynchronously after an event is
 * over before the next. The globals that tell time or chance answer for the actor whose event it is, so that the code under
 * test is the real one, and everything follows from the seed.
 */
export class EventLoop {
  /** What the code under test takes for chance. */
  readonly random: Random;
  readonly #seed: number;
  /** Simulated time, ms; no actor sees it. */
  now = 0;
  /** Of all events so far, each with its time and actor: equal for equal runs. */
  trace = 0;
  readonly #queue: Event[] = [];
  #order = 0;
  /** Whose event led to what runs now, however far behind it. */
  readonly #actors = new AsyncLocalStorage<Actor>();
  readonly #real = {
    now: Date.now,
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    random: Math.random,
    getRandomValues: crypto.getRandomValues.bind(crypto),
    randomUUID: crypto.randomUUID.bind(crypto),
    digest: crypto.subtle.digest.bind(crypto.subtle),
    setImmediate: globalThis.setImmediate,
  };
  /** Defects that servers have reported. */
  readonly defects: unknown[] = [];
  readonly #timers = new Map<number, Event>();

  constructor(seed: number) {
    this.#seed = seed;
    this.random = this.stream('chance');
  }

  /** Chance of one concern: what one draws more or less leaves the others what they are. */
  stream(concern: string): Random {
    return new Random(hashed(concern, hashed(String(this.#seed), 0)));
  }

  /** Unix ms, by a clock that is right. */
  get unixMs(): number {
    return START_MS + this.now;
  }

  get actor(): Actor {
    return this.#actors.getStore() ?? NOBODY;
  }

  /** After `delayMs` of simulated time, on that actor. */
  schedule(delayMs: number, actor: Actor, run: () => void): Event {
    const event: Event = {
      at: this.now + Math.max(0, delayMs),
      order: this.#order++,
      actor,
      run,
      cancelled: false,
    };
    // From the end: most events are far from the others' times, and there are few.
    let place = this.#queue.length;
    while (place > 0 && isLater(this.#queue[place - 1] as Event, event)) place--;
    this.#queue.splice(place, 0, event);
    return event;
  }

  /** Runs events until `done`, or until there are none, or simulated time is over. */
  async run(done: () => boolean, untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    while (!done()) {
      // Before it is said that nothing happens any more, what takes longer than usual may end.
      if (this.#queue.length === 0) await this.#turns(20 * TURNS);
      const event = this.#queue.shift();
      if (event === undefined || event.at > untilMs) {
        if (event !== undefined) this.#queue.unshift(event);
        this.now = Math.max(this.now, untilMs === Number.POSITIVE_INFINITY ? this.now : untilMs);
        return;
      }
      this.now = Math.max(this.now, event.at);
      if (event.cancelled || !event.actor.alive) continue;
      this.trace = hashed(`${event.at} ${event.actor.name}`, this.trace);
      try {
        this.#actors.run(event.actor, event.run);
      } catch (error) {
        this.#said('an event has failed', error);
      }
      await this.#turns(TURNS);
    }
  }

  async #turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++)
      await new Promise<void>((resolve) => this.#real.setImmediate(() => resolve()));
  }

  /** Puts simulated time and chance in the place of the real ones; returns what takes them back. */
  install(): () => void {
    const real = this.#real;
    Date.now = () => Math.floor(this.unixMs + this.actor.clockOffsetMs);
    Math.random = () => this.random.next();
    const fill = (array: Uint8Array): Uint8Array => {
      for (let i = 0; i < array.length; i++) array[i] = this.random.below(256);
      return array;
    };
    crypto.getRandomValues = fill as typeof crypto.getRandomValues;
    // The real one takes threads, and with them another order each time.
    crypto.subtle.digest = async (_, data) => {
      const hash = createHash('sha256').update(new Uint8Array(data as ArrayBuffer));
      return new Uint8Array(hash.digest()).buffer;
    };
    crypto.randomUUID = () =>
      `${this.#hex(8)}-${this.#hex(4)}-4${this.#hex(3)}-8${this.#hex(3)}-${this.#hex(12)}` as ReturnType<
        typeof crypto.randomUUID
      >;
    globalThis.setTimeout = ((run: () => void, delayMs = 0) => {
      const id = ++this.#order;
      const event = this.schedule(delayMs, this.actor, () => {
        this.#timers.delete(id);
        run();
      });
      this.#timers.set(id, event);
      return id;
    }) as unknown as typeof globalThis.setTimeout;
    globalThis.clearTimeout = ((id: number) => {
      const event = this.#timers.get(id);
      if (event !== undefined) event.cancelled = true;
      this.#timers.delete(id);
    }) as unknown as typeof globalThis.clearTimeout;
    // What servers say of it is no news here.
    const { warn, debug, error } = globalThis.console;
    const console = { warn, debug, error };
    globalThis.console.warn = () => undefined;
    globalThis.console.debug = () => undefined;
    globalThis.console.error = (message: unknown, cause: unknown) => this.#said(message, cause);
    const rejected = (cause: unknown) => this.#said('a promise was rejected, and nobody had asked', cause);
    process.on('unhandledRejection', rejected);
    return () => {
      process.off('unhandledRejection', rejected);
      Object.assign(globalThis.console, console);
      Date.now = real.now;
      Math.random = real.random;
      crypto.getRandomValues = real.getRandomValues;
      crypto.randomUUID = real.randomUUID;
      crypto.subtle.digest = real.digest;
      globalThis.setTimeout = real.setTimeout;
      globalThis.clearTimeout = real.clearTimeout;
    };
  }

  /** A superseded instance takes its lost storage for a defect, which is how it ends. */
  #said(message: unknown, cause: unknown): void {
    if (cause instanceof Error && cause.message.includes(SUPERSEDED)) return;
    this.defects.push(cause instanceof Error ? cause : new Error(String(message)));
  }

  #hex(digits: number): string {
    let text = '';
    while (text.length < digits) text += this.random.below(16).toString(16);
    return text;
  }
}

const NOBODY: Actor = { name: 'nobody', clockOffsetMs: 0, alive: true };

/** FNV-1a, 32 bits. */
function hashed(text: string, before: number): number {
  let hash = before ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function isLater(left: Event, right: Event): boolean {
  return left.at > right.at || (left.at === right.at && left.order > right.order);
}
