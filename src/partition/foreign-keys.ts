import type { SqlitePort } from '../core/sqlite/port.ts';
import type { Surroundings } from './surroundings.ts';

/** Turns that the switch is tried in: SQLite ignores it while a transaction is open, as in a turn that has written. */
const TRIES = 50;

/** Foreign keys as SQLite enforces them on this object's connection: always, but for single chunks of a restore. */
export class ForeignKeys {
  readonly #port: SqlitePort;
  readonly #durable: Surroundings['durable'];
  readonly #pause: Surroundings['pause'];
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor({ port, durable, pause }: Surroundings) {
    this.#port = port;
    this.#durable = durable;
    this.#pause = pause;
  }

  /** They are off at this moment, or about to be. */
  get off(): boolean {
    return this.#waiting > 0;
  }

  /** Resolves when they are enforced again. */
  async back(): Promise<void> {
    while (this.off) await this.#last;
  }

  /** Runs `body` while they are off; one after the other. When they cannot be switched on again, that is a defect. */
  without<T>(body: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const done = this.#last.then(async () => {
      await this.#switch('OFF');
      try {
        return await body();
      } finally {
        await this.#switch('ON');
      }
    });
    this.#last = done.then(
      () => this.#waiting--,
      () => this.#waiting--,
    );
    return done;
  }

  async #switch(to: 'ON' | 'OFF'): Promise<void> {
    const wanted = to === 'ON' ? 1 : 0;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      this.#port.query(`PRAGMA foreign_keys = ${to}`);
      if (Number(this.#port.query('PRAGMA foreign_keys').rows[0]?.[0]) === wanted) return;
      await this.#durable();
      await this.#pause(0);
    }
    throw new Error(`PRAGMA foreign_keys = ${to} had no effect`);
  }
}
