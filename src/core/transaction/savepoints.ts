import { asciiLower } from '../../base/ascii.ts';

interface Savepoint {
  readonly name: string;
  /** The last statement before it. */
  readonly after: number;
}

/** The stack of a transaction's savepoints: https://www.sqlite.org/lang_savepoint.html. Of equal names the newest counts. */
export class Savepoints {
  #stack: Savepoint[] = [];

  set(name: string, after: number): void {
    this.#stack.push({ name: asciiLower(name), after });
  }

  /** The last statement that stays; the savepoint stays too, those within it go. Null: there is none of that name. */
  rollbackTo(name: string): number | null {
    const place = this.#placeOf(name);
    if (place < 0) return null;
    this.#stack = this.#stack.slice(0, place + 1);
    return this.#stack.at(-1)?.after ?? null;
  }

  /** The savepoint goes, and those within it; what was done stays. False: there is none of that name. */
  release(name: string): boolean {
    const place = this.#placeOf(name);
    if (place < 0) return false;
    this.#stack = this.#stack.slice(0, place);
    return true;
  }

  #placeOf(name: string): number {
    const wanted = asciiLower(name);
    return this.#stack.findLastIndex((each) => each.name === wanted);
  }
}
