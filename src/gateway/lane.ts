/** Messages in one (chosen: a group commit of so many takes a few milliseconds). */
export const TOGETHER_MAX = 64;
/** How long a receiver that does not know such messages is not sent any, ms (chosen: a deploy is under way). */
const UNKNOWN_MS = 60_000;

/** With fewer in one, on average, gathering takes more than it saves (measured: at 1.5 some 5 % more CPU time for each, at 5 from 5 to 25 % less). */
const WORTH_GATHERING = 2.25;
/** What gathering begins with as its average, and what the newest counts for in it (chosen: some ten small ones end it). */
const AVERAGE_FIRST = 4;
const NEWEST = 1 / 16;

export interface Coalescing {
  /** How long what is for a receiver that has not answered yet is gathered at most, ms (0 is 1 in workerd, as measured). */
  readonly gatherMs: number;
  /** So many on their way, each by itself, before any are gathered, and that only as long as several do meet; without, one is enough. */
  readonly many?: number;
  /** What finds the receiver idle is gathered too: for tests. */
  readonly eager?: boolean;
}

/** Chosen: as short as it goes. */
export const COALESCING: Coalescing = { gatherMs: 0 };
/** Of clients' requests. Chosen: what 16 clients of one receiver are, and 16 of four are not. */
export const REQUESTS_COALESCING: Coalescing = { gatherMs: 0, many: 12 };
/** Whoever was to leave with the others so long ago is gone, ms (chosen): the next one does. */
const GONE_MS = 1_000;

/**
 * The way of messages to one receiver. What finds it idle goes at once, by itself. While something is on its way there, all that comes goes together a moment
 * later, or when that is answered: of what a message costs, its own call is the greatest part. (J. Nagle, RFC 896, with a bound on the delay.) Where few
 * meet that does not pay: with `many`, what is gathered is watched.
 */
export class Lane<Item> {
  readonly #eager: boolean;
  readonly #many: number | null;
  #gathers: boolean;
  /** Messages that have left together of late. */
  #average = AVERAGE_FIRST;
  /** On their way, while none are gathered: their numbers. */
  readonly #single = new Set<number>();
  /** What was sent last: its number, and whether it has been answered. */
  #sent = 0;
  #isIdle = true;
  /** Unix milliseconds. */
  #aloneUntil = Number.NEGATIVE_INFINITY;
  #gathering: Item[] | null = null;
  #gatheringSince = 0;
  #answered: (() => void) | null = null;

  constructor({ eager = false, many }: Coalescing) {
    this.#eager = eager;
    this.#many = many ?? null;
    this.#gathers = many === undefined;
  }

  /** Whether the next one goes by itself, and now. `now`: Unix milliseconds. */
  goesAlone(now: number): boolean {
    if (now < this.#aloneUntil) return true;
    if (this.#gathering !== null) return this.#gathering.length >= TOGETHER_MAX && !this.#isAbandoned(now);
    return !this.#eager && (this.#isIdle || !this.#gathers);
  }

  /** Something leaves; until it is answered, or lost, the receiver is not idle. */
  track<T>(answer: Promise<T>): Promise<T> {
    const number = ++this.#sent;
    this.#isIdle = false;
    if (!this.#gathers) this.#count(number);
    const ended = () => {
      this.#single.delete(number);
      if (number === this.#sent) this.#isIdle = true;
      this.#answered?.();
      this.#answered = null;
    };
    answer.then(ended, ended);
    return answer;
  }

  /**
   * One that does not go alone. True: it is the first of several, and has to {@link leave} for all when its time is over, or sooner, when something is
   * answered: then `go` is called.
   */
  join(item: Item, now: number, go: () => void): boolean {
    if (this.#gathering !== null && !this.#isAbandoned(now)) {
      this.#gathering.push(item);
      return false;
    }
    this.#gathering = [...(this.#gathering ?? []), item];
    this.#gatheringSince = now;
    this.#answered = go;
    return true;
  }

  #isAbandoned(now: number): boolean {
    return now - this.#gatheringSince > GONE_MS;
  }

  /** All that go together now; none if somebody else has left for them. */
  leave(): Item[] {
    const all = this.#gathering ?? [];
    this.#gathering = null;
    this.#answered = null;
    if (this.#many !== null) this.#watch(all.length);
    return all;
  }

  /** Those that are never answered count until it has turned out that there are not so many. */
  #count(number: number): void {
    this.#single.add(number);
    if (this.#many === null || this.#single.size < this.#many) return;
    this.#single.clear();
    this.#gathers = true;
    this.#average = AVERAGE_FIRST;
  }

  #watch(together: number): void {
    this.#average += (together - this.#average) * NEWEST;
    if (this.#average < WORTH_GATHERING) this.#gathers = false;
  }

  /** The receiver does not know messages that carry several. */
  unknown(now: number): void {
    this.#aloneUntil = now + UNKNOWN_MS;
  }
}
