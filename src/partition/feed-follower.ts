import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { failureOf } from '../core/execution/failure.ts';
import { applyFeed, checkSchemaChange, feedHolders, setHold } from '../core/replica/feed.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { SchemaChange } from '../core/schema/change.ts';
import { copyLock } from '../core/transaction/lock.ts';
import type { Holder } from '../core/transaction/lock-table.ts';
import { AtollError } from '../protocol/error.ts';
import type { Feed } from '../protocol/feed.ts';
import type { Freeze } from '../protocol/freeze.ts';
import type { SchemaCheck, SchemaCheckReply, SchemaFate } from '../protocol/schema.ts';
import { FrozenCopies } from './frozen-copies.ts';
import type { LockWaits } from './lock-waits.ts';
import type { Peers, Surroundings } from './surroundings.ts';

/** How long the feed waits for prepared transactions, ms (chosen: below the system partition's patience, 10 s). */
const DRAIN_MS = 5_000;
/** How long a transaction waits before it asks how a schema change has ended, ms (chosen). */
const FATE_MS = 100;

/** What a partition takes from the system partition's log: schema changes, and writes of reference tables. */
export class FeedFollower {
  readonly #replica: () => Replica;
  readonly #peers: Peers;
  readonly #pause: Surroundings['pause'];
  readonly copies: FrozenCopies;
  readonly #locks: LockWaits;
  /** Those that wait for prepared transactions to end, last one last. */
  #drained: Promise<void> = Promise.resolve();
  #draining = 0;
  /** Those that wait until writes are not held any more. */
  readonly #held = new Set<() => void>();

  constructor(replica: () => Replica, { peers, pause }: Surroundings, locks: LockWaits) {
    this.#replica = replica;
    this.#peers = peers;
    this.#pause = pause;
    this.#locks = locks;
    this.copies = new FrozenCopies(replica, peers, locks, () => this.catchUp());
  }

  /**
   * Before a transaction begins, which holds nothing yet: resolves when nothing of the feed waits for transactions, and no
   * schema change is being decided, or `untilMs` is over.
   */
  async idle(untilMs: number): Promise<void> {
    await this.#drained;
    for (;;) {
      const { hold } = this.#replica();
      const patience = untilMs - Date.now();
      if (hold === null || patience <= 0) return;
      await this.askFate(hold, Math.min(patience, FATE_MS));
    }
  }

  /**
   * Whether what is prepared now would be in the way of the feed, or of a schema change that is being decided: either may
   * wait for what the same transaction holds elsewhere, so that it must not wait here.
   */
  get isBusy(): boolean {
    const { hold } = this.#replica();
    if (hold === null) return this.#draining > 0;
    // Its end may have been told to an earlier instance, or not at all.
    this.askFate(hold, 0).catch((error: unknown) => console.warn(`the fate of ${hold}: ${String(error)}`));
    return true;
  }

  /** Takes what the system partition has pushed; pulls what lies before it. */
  async follow(feed: Feed): Promise<{ system: number }> {
    await this.#drain(() => feedHolders(this.#replica(), feed));
    if (!this.#apply(feed)) await this.catchUp();
    if (feed.thaws !== undefined) this.copies.thaw(feed.thaws);
    return { system: this.#replica().systemIndex };
  }

  /** Once nothing is prepared that has read the tables, nobody reads them: see protocol/freeze.ts. */
  async freeze(freeze: Freeze): Promise<void> {
    const wanted = freeze.tables.map((table) => copyLock(table, true));
    const holders = () => this.#replica().locks.preparedBlockers(wanted);
    while (holders().length > 0) await this.#drain(holders);
    this.copies.freeze(freeze);
  }

  /** Applies all that the system partition has. False when there was nothing. */
  async catchUp(): Promise<boolean> {
    const replica = this.#replica();
    const start = replica.systemIndex;
    for (;;) {
      const from = replica.systemIndex;
      const feed = await this.#ask<Feed>('feed-read', { from });
      await this.#drain(() => feedHolders(this.#replica(), feed));
      this.#apply(feed);
      if (feed.entries.length === 0 || replica.systemIndex === from) return replica.systemIndex > start;
    }
  }

  /**
   * Before what a transaction has prepared here is applied: follows the entry with which it has written reference tables, if there is one.
   * It comes next, for the transaction commits only if the feed has not grown since it was prepared with. What comes after may wait for it.
   */
  async followOwn(transaction: string): Promise<void> {
    const { entries, ...feed } = await this.#ask<Feed>('feed-read', { from: this.#replica().systemIndex });
    const [next] = entries;
    if (next?.kind !== 'write' || next.transaction !== transaction) return;
    const own = { ...feed, entries: [next] };
    await this.#drain(() => feedHolders(this.#replica(), own));
    this.#apply(own);
  }

  #apply(feed: Feed): boolean {
    const applied = applyFeed(this.#replica(), feed, Date.now());
    this.#letGo();
    return applied;
  }

  /** @throws AtollError for which the change cannot be made here */
  async check({ proposal, change, system }: SchemaCheck): Promise<SchemaCheckReply> {
    if (this.#replica().systemIndex < system) await this.catchUp();
    // A schema change is a barrier: what is prepared was executed under the schema before it.
    await this.#drain(() => this.#replica().locks.holders);
    const result = checkSchemaChange(this.#replica(), proposal, change as SchemaChange, Date.now());
    if (result.kind === 'failed') throw failureOf(result.error);
    return { passed: true, filling: result.filling };
  }

  learnFate({ proposal, state }: SchemaFate): void {
    const replica = this.#replica();
    if (state === 'withdrawn' && replica.hold === proposal) setHold(replica, null, Date.now());
    this.#letGo();
  }

  #letGo(): void {
    if (this.#replica().hold !== null) return;
    for (const go of this.#held) go();
    this.#held.clear();
  }

  /**
   * Writes are held for a proposal: resolves when they are no longer. After a while it is asked for, since its end may have been told to an
   * earlier instance, or not at all.
   */
  async askFate(proposal: number, waitMs: number): Promise<void> {
    let go = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      go = resolve;
    });
    this.#held.add(go);
    await Promise.race([ended, this.#pause(waitMs)]);
    this.#held.delete(go);
    const replica = this.#replica();
    if (replica.hold !== proposal || replica.isSystem) return;
    const fate = await this.#ask<SchemaFate>('schema-state', { proposal });
    if (fate.state === 'published') await this.catchUp();
    else this.learnFate(fate);
  }

  /** Waits until nobody holds what stands in the way. */
  #drain(holders: () => readonly Holder[]): Promise<void> {
    if (holders().length === 0) return Promise.resolve();
    const until = Date.now() + DRAIN_MS;
    const waiting = async (): Promise<void> => {
      for (let present = holders(); present.length > 0; present = holders()) {
        const patience = until - Date.now();
        if (patience <= 0)
          throw new AtollError(
            'busy',
            'transactions over several partitions are not decided yet; try again',
            'none',
          );
        await this.#locks.wait(present, patience);
      }
    };
    this.#draining++;
    const drained = waiting().finally(() => {
      this.#draining--;
    });
    this.#drained = drained.catch(() => undefined);
    return drained;
  }

  #ask<Answer>(type: string, message: unknown): Promise<Answer> {
    return this.#peers.call(this.#replica().identity.database, SYSTEM_PARTITION, type, message);
  }
}
