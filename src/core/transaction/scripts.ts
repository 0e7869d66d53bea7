import { AtollError } from '../../protocol/error.ts';
import { entryBytes, type Script, type ScriptEntry } from './script.ts';

/** All scripts of a partition, bytes (chosen: beside the rest there is room in the 128 MB that an object has). */
const BYTES_MAX = 48 * 1024 * 1024;
/** And their number (chosen). */
const SCRIPTS_MAX = 4_096;

/** The scripts of a partition, by the names of their transactions. */
export class Scripts {
  readonly #scripts = new Map<string, Script>();
  #made = 0;

  get size(): number {
    return this.#scripts.size;
  }

  /** Number of one more script, in this partition's memory. */
  nextNumber(): number {
    return ++this.#made;
  }

  get(name: string, now: number): Script | null {
    const script = this.#scripts.get(name);
    return script === undefined || script.expiresMs <= now ? null : script;
  }

  live(now: number): readonly Script[] {
    return [...this.#scripts.values()].filter(({ expiresMs }) => expiresMs > now);
  }

  /** A script, whose first statement it may be, has one more. @throws AtollError `overloaded`, and it has not */
  keep(script: Script, entry: ScriptEntry, now: number): void {
    this.#expire(now);
    let bytes = entryBytes(entry);
    for (const each of this.#scripts.values()) bytes += each.bytes;
    const isNew = this.#scripts.get(script.name) !== script;
    if (bytes > BYTES_MAX || (isNew && this.#scripts.size >= SCRIPTS_MAX)) throw full();
    script.add(entry);
    this.#scripts.set(script.name, script);
  }

  /** Its transaction has ended. */
  remove(name: string): void {
    this.#scripts.delete(name);
  }

  #expire(now: number): void {
    for (const [name, { expiresMs }] of this.#scripts) if (expiresMs <= now) this.#scripts.delete(name);
  }
}

function full(): AtollError {
  return new AtollError(
    'overloaded',
    'the partition holds as many interactive transactions as it can; try again',
  );
}
