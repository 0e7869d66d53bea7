import type { Epoch } from '../../src/base/brand.ts';
import type { ExecuteOutcome } from '../../src/core/replica/outcome.ts';
import { scriptCommitWork, scriptRunWork } from '../../src/core/replica/script-work.ts';
import { attemptName } from '../../src/core/transaction/interactive-id.ts';
import type { AtollError } from '../../src/protocol/error.ts';
import type { NumberRange, ScriptAnswer, ScriptReference } from '../../src/protocol/interactive.ts';
import type { LocalCluster } from './local-cluster.ts';

/** What a statement has answered: the members that a client sees, or its error. */
export type Seen =
  | {
      readonly rows: unknown[][];
      readonly columns: string[];
      readonly rowsAffected: number;
      readonly lastInsertRowid: number | null;
    }
  | { readonly error: string };

/** An interactive transaction in one partition of a {@link LocalCluster}: what its keeper does, in one thread. */
export class ScriptClient {
  static #names = 0;
  readonly name = (++ScriptClient.#names).toString(16).padStart(24, '0');
  readonly #cluster: LocalCluster;
  readonly #partition: number;
  #number = 0;
  #count = 0;
  #script: string | null = null;
  readonly #undone: NumberRange[] = [];
  readonly #savepoints: { name: string; number: number }[] = [];

  constructor(cluster: LocalCluster, partition = 1) {
    this.#cluster = cluster;
    this.#partition = partition;
  }

  /** @throws AtollError that ends the transaction, or is no answer */
  run(sql: string, args: readonly unknown[] = []): Seen {
    const replica = this.#cluster.replica(this.#partition);
    const number = this.#number + 1;
    const outcome = this.#perform((now) =>
      scriptRunWork(replica, {
        ...this.reference,
        number,
        expiresMs: now + 1_000_000,
        schema: replica.schema.version,
        system: 0,
        part: {
          partition: replica.identity.partition,
          epoch: 1 as Epoch,
          read: /^\s*(SELECT|WITH)\b/i.test(sql),
          statement: { sql, args },
        },
      }),
    );
    if (outcome.kind !== 'done') throw new Error(outcome.kind);
    this.#number = number;
    this.#count++;
    const answer = JSON.parse(outcome.body) as ScriptAnswer;
    this.#script = answer.script;
    if (answer.kind === 'failed') return { error: answer.error.code };
    const [result] = (JSON.parse(answer.reply) as { results: Seen[] }).results;
    return result as Seen;
  }

  savepoint(name: string): void {
    this.#savepoints.push({ name, number: this.#number });
  }

  /** The newest of that name; it stays. */
  rollbackTo(name: string): void {
    const at = this.#savepoints.findLastIndex((each) => each.name === name);
    const from = this.#savepoints[at]?.number ?? 0;
    this.#savepoints.length = at + 1;
    if (from < this.#number) this.#undone.push([from + 1, this.#number]);
  }

  /** Null: it is committed. */
  commit(): AtollError | null {
    const replica = this.#cluster.replica(this.#partition);
    const request = {
      ...this.reference,
      transaction: attemptName(this.name, 0),
      schema: replica.schema.version,
      epoch: 1 as Epoch,
    };
    const outcome = this.#cluster.perform((now) => scriptCommitWork(replica, request, now), this.#partition);
    replica.scripts.remove(this.name);
    if (outcome.kind === 'error') return outcome.error;
    if (outcome.kind !== 'done') throw new Error(outcome.kind);
    return null;
  }

  get reference(): ScriptReference {
    return { name: this.name, script: this.#script, count: this.#count, undone: this.#undone };
  }

  #perform(work: Parameters<LocalCluster['perform']>[0]): ExecuteOutcome {
    const outcome = this.#cluster.perform(work, this.#partition);
    if (outcome.kind === 'error') throw outcome.error;
    return outcome;
  }
}
