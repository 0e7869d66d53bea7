import type { PartitionId } from '../base/brand.ts';
import { Coordination, type Ruling } from '../core/transaction/coordination.ts';
import { errandsOf } from '../core/transaction/owners.ts';
import { AtollError, toAtollError } from '../protocol/error.ts';
import type { RingRange, TransactionPart, Vote } from '../protocol/transaction.ts';

/**
 * Waves of prepares in one attempt, and of one statement of an interactive transaction (chosen: each follows from what the one before has written, and takes a few milliseconds. A
 * tree whose rows are deleted with their parents takes one for each level, or two where an index knows the parents).
 */
export const WAVES_MAX = 64;

/** What one prepare asks for: a part; or, of a later wave, changes. */
export interface Asked {
  readonly part: TransactionPart;
  readonly changes?: string;
}

/** One attempt in its anchor: prepares in waves, until all have voted yes and nothing is left that belongs elsewhere, or one has not. */
export class Attempt {
  readonly coordination: Coordination;
  readonly #ring: readonly RingRange[];
  readonly #ask: (asked: Asked) => Promise<Vote>;
  readonly #prepares: Promise<void>[] = [];
  readonly #touched = new Set<PartitionId>();

  constructor(ring: readonly RingRange[] | undefined, ask: (asked: Asked) => Promise<Vote>) {
    this.coordination = new Coordination([]);
    this.#ring = ring ?? [];
    this.#ask = ask;
  }

  /** Who was asked for a prepare. */
  get touched(): readonly PartitionId[] {
    return [...this.#touched];
  }

  /** Resolves when no prepare is on its way. */
  async settled(): Promise<void> {
    await Promise.all(this.#prepares);
  }

  async run(parts: readonly TransactionPart[]): Promise<Exclude<Ruling, { kind: 'waiting' }>> {
    let asked: Asked[] = parts.map((part) => ({ part }));
    for (let wave = 1; ; wave++) {
      const ruling = await this.#wave(asked);
      if (ruling.kind !== 'commit') return ruling;
      const escapes = this.coordination.takeEscapes();
      if (escapes.length === 0) return this.coordination.violated ? abort(violation()) : ruling;
      if (wave === WAVES_MAX) return abort(tooDeep());
      // Whoever plans as the partitions do has sent one.
      if (this.#ring.length === 0)
        return abort(refused('it changes rows of partitions that its plan does not name'));
      asked = errandsOf(escapes, this.#ring).map(({ partition, epoch, changes }) => ({
        part: { partition, epoch, read: false, statements: [] },
        changes,
      }));
    }
  }

  /** Resolves with the first ruling that is not to wait on, as votes come in. */
  async #wave(asked: readonly Asked[]): Promise<Exclude<Ruling, { kind: 'waiting' }>> {
    const { coordination } = this;
    coordination.expect(asked.map(({ part }) => part.partition));
    const pending = new Set(asked.map((each) => this.#prepare(each)));
    this.#prepares.push(...pending);
    for (;;) {
      const { ruling } = coordination;
      if (ruling.kind !== 'waiting') return ruling;
      await Promise.race([...pending].map((each) => each.then(() => pending.delete(each))));
    }
  }

  async #prepare(asked: Asked): Promise<void> {
    const { partition } = asked.part;
    this.#touched.add(partition);
    let vote: Vote | AtollError;
    try {
      vote = await this.#ask(asked);
    } catch (error) {
      vote = toAtollError(error);
    }
    this.coordination.voted(partition, vote);
  }
}

/** As SQLite says it. */
export function violation(): AtollError {
  return new AtollError('constraint', 'FOREIGN KEY constraint failed', 'none', {
    sqlite: 'SQLITE_CONSTRAINT_FOREIGNKEY',
  });
}

export function tooDeep(): AtollError {
  return refused(
    `foreign keys still act on rows of other partitions after ${WAVES_MAX} steps: change the rows that refer to others first`,
  );
}

function refused(message: string): AtollError {
  return new AtollError('multi-partition-write', message, 'none');
}

function abort(reason: AtollError): Extract<Ruling, { kind: 'abort' }> {
  return { kind: 'abort', reason };
}
