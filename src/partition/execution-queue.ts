import type { Work } from '../core/replica/group.ts';
import type { ExecuteOutcome } from '../core/replica/outcome.ts';

interface Waiting {
  readonly work: Work;
  readonly resolve: (outcome: ExecuteOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit (Gray, Reuter, "Transaction Processing", 1993, section 9.4.7): while one group is made durable, the
 * writes that arrive form the next. A lone write does not wait.
 */
export class ExecutionQueue {
  readonly #execute: (works: readonly Work[]) => ExecuteOutcome[];
  readonly #durable: () => Promise<void>;
  #waiting: Waiting[] = [];
  #running = false;

  /** `durable` resolves when all that was written is on disk. */
  constructor(execute: (works: readonly Work[]) => ExecuteOutcome[], durable: () => Promise<void>) {
    this.#execute = execute;
    this.#durable = durable;
  }

  /** Rejects when the group could not be committed: then it is not known whether the request was applied. */
  run(work: Work): Promise<ExecuteOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, resolve, reject });
      if (!this.#running) {
        this.#running = true;
        // Requests that arrived in the same turn of the event loop join this group.
        void Promise.resolve().then(() => this.#drain());
      }
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        const outcomes = this.#execute(group.map(({ work }) => work));
        // The output gate holds the replies until the write is durable: they may leave as they are.
        for (const [index, { resolve }] of group.entries()) resolve(outcomes[index] as ExecuteOutcome);
        await this.#durable();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#running = false;
  }
}
