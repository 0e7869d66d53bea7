import type { Random } from '../harness/random.ts';
import { type Outcome, query } from './api.ts';
import type { Fate, Ledger } from './ledger.ts';

/** Rows that a read asks for: the last ones of a tenant. */
const WINDOW = 60;
/** One that was written longer ago is left alone. */
const DELETE_WITHIN = 40;
/** A session's steps, on average, ms. */
const STEP_MS = 35;

export interface World {
  readonly ledger: Ledger;
  /** Base URLs of all entry points. */
  readonly entries: () => readonly string[];
  readonly isOver: () => boolean;
  readonly tally: Tally;
  readonly sessions: readonly Session[];
}

/** What became of requests, by what they were and how they ended. */
export class Tally {
  readonly counts = new Map<string, number>();
  readonly violations: string[] = [];
  /** Answers that no fault explains. */
  readonly defects: string[] = [];

  add(what: string, outcome: Outcome): void {
    const key = `${what} ${outcome.kind === 'ok' ? 'ok' : outcome.code}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    if (outcome.kind !== 'ok' && !EXPECTED.has(outcome.code))
      this.defects.push(`${what}: ${outcome.code} ${outcome.message}`);
  }
}

/** What hosts that are killed or cut off may answer, and what is met on the way to them. */
const EXPECTED: ReadonlySet<string> = new Set([
  ...['unavailable', 'timeout', 'unknown-outcome', 'overloaded', 'busy', 'stale', 'schema-conflict'],
  ...['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE', 'TimeoutError'],
]);

/**
 * One client with a session, which asks another host at each step. It alone writes the rows of its tenant; it reads its own
 * and those of others, and remembers what it has been shown.
 */
export class Session {
  readonly tenant: string;
  readonly #random: Random;
  readonly #world: World;
  /** The last number that it has used. */
  last = 0;
  #token: string | undefined;
  #register = 0;
  readonly #mine: number[] = [];
  /** By tenant: numbers that it was shown, or whose end it was. */
  readonly #seen = new Map<string, Map<number, 'there' | 'gone'>>();
  readonly #registers = new Map<string, number>();
  readonly #reference = new Map<string, number>();
  /** Numbers of its tenant that somebody has tried to delete. */
  readonly deleting = new Set<number>();

  constructor(tenant: string, random: Random, world: World) {
    this.tenant = tenant;
    this.#random = random;
    this.#world = world;
  }

  async run(): Promise<void> {
    while (!this.#world.isOver()) {
      const dice = this.#random.below(100);
      if (dice < 40) await this.#insert();
      else if (dice < 48) await this.#delete();
      else if (dice < 56) await this.#raise();
      else if (dice < 76) await this.#readRows('session');
      else if (dice < 84) await this.#readRegisters();
      else if (dice < 88) await this.#readReference();
      else await this.#readRows('eventual');
      await new Promise((resolve) => setTimeout(resolve, this.#random.below(2 * STEP_MS)));
    }
  }

  async #insert(): Promise<void> {
    const number = ++this.last;
    const body = `${this.tenant}/${number} ${'é'.repeat(this.#random.below(60))}`;
    const fate = await this.#write('INSERT INTO item (tenant, number, body, weight) VALUES (?, ?, ?, ?)', [
      this.tenant,
      number,
      body,
      { $real: String(number / 7) },
    ]);
    this.#world.ledger.inserted(this.tenant, number, fate);
    if (fate !== 'acknowledged') return;
    this.#mine.push(number);
    this.#memory(this.tenant).set(number, 'there');
  }

  async #delete(): Promise<void> {
    const young = this.#mine.filter(
      (number) => number > this.last - DELETE_WITHIN && !this.deleting.has(number),
    );
    if (young.length === 0) return;
    const number = this.#random.pick(young);
    this.deleting.add(number);
    const fate = await this.#write('DELETE FROM item WHERE tenant = ? AND number = ?', [this.tenant, number]);
    this.#world.ledger.deleted(this.tenant, number, fate);
    if (fate === 'acknowledged') this.#memory(this.tenant).set(number, 'gone');
  }

  async #raise(): Promise<void> {
    const value = ++this.#register;
    const fate = await this.#write(
      'INSERT INTO register (tenant, value) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET value = max(value, excluded.value)',
      [this.tenant, value],
    );
    this.#world.ledger.raised(this.tenant, value, fate);
    if (fate === 'acknowledged') this.#registers.set(this.tenant, value);
  }

  async #readRows(consistency: 'session' | 'eventual'): Promise<void> {
    const own = this.#random.chance(0.6);
    const session = own ? this : this.#random.pick(this.#world.sessions);
    const { tenant } = session;
    const from = Math.max(1, session.last - WINDOW);
    const entry = this.#entry();
    const sql = 'SELECT number FROM item WHERE tenant = ? AND number >= ? ORDER BY number';
    const answer = await this.#ask(`${consistency} read`, entry, sql, [tenant, from], consistency);
    if (answer === null || consistency === 'eventual') return;
    const shown = new Set(answer.map(([number]) => number as number));
    const memory = this.#memory(tenant);
    for (const [number, state] of memory) {
      if (number < from) memory.delete(number);
      else if (state === 'there' && !shown.has(number)) {
        if (session.deleting.has(number)) memory.set(number, 'gone');
        else this.#violated(`${tenant}/${number} is no more, at ${entry}`);
      }
    }
    for (const number of shown) {
      if (memory.get(number) === 'gone') this.#violated(`${tenant}/${number} is back, at ${entry}`);
      else memory.set(number, 'there');
    }
  }

  async #readRegisters(): Promise<void> {
    const entry = this.#entry();
    const answer = await this.#ask(
      'session scatter',
      entry,
      'SELECT tenant, value FROM register',
      [],
      'session',
    );
    if (answer !== null) this.#neverBack(this.#registers, answer, entry);
  }

  async #readReference(): Promise<void> {
    const entry = this.#entry();
    const sql = "SELECT 'setting', max(value) FROM setting";
    const answer = await this.#ask('reference read', entry, sql, [], 'session');
    if (answer !== null) this.#neverBack(this.#reference, answer, entry);
  }

  #neverBack(memory: Map<string, number>, answer: readonly unknown[][], entry: string): void {
    const shown = new Map(answer.map(([name, value]) => [String(name), Number(value)]));
    for (const [name, value] of memory) {
      const now = shown.get(name) ?? 0;
      if (now < value) this.#violated(`${name} went from ${value} to ${now}, at ${entry}`);
    }
    for (const [name, value] of shown) memory.set(name, value);
  }

  async #write(sql: string, args: readonly unknown[]): Promise<Fate> {
    const outcome = await query(this.#entry(), sql, args, this.#demand());
    this.#world.tally.add('write', outcome);
    if (outcome.kind !== 'ok') return outcome.kind === 'none' ? 'failed' : 'unknown';
    this.#token = outcome.json.session;
    return 'acknowledged';
  }

  async #ask(
    what: string,
    entry: string,
    sql: string,
    args: readonly unknown[],
    consistency: 'session' | 'eventual',
  ): Promise<unknown[][] | null> {
    // An eventual read without a token may show anything, and tells the session nothing.
    const demand = consistency === 'session' ? this.#demand() : {};
    const outcome = await query(entry, sql, args, { ...demand, consistency });
    this.#world.tally.add(what, outcome);
    if (outcome.kind !== 'ok') return null;
    if (consistency === 'session') this.#token = outcome.json.session;
    return outcome.json.rows;
  }

  #demand(): { session?: string } {
    return this.#token === undefined ? {} : { session: this.#token };
  }

  #entry(): string {
    return this.#random.pick(this.#world.entries());
  }

  #memory(tenant: string): Map<number, 'there' | 'gone'> {
    let memory = this.#seen.get(tenant);
    if (memory === undefined) {
      memory = new Map();
      this.#seen.set(tenant, memory);
    }
    return memory;
  }

  #violated(what: string): void {
    this.#world.tally.violations.push(`session of ${this.tenant}: ${what}`);
  }
}
