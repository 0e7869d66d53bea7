import type { PartitionId } from '../base/brand.ts';
import { failureOf } from '../core/execution/failure.ts';
import { applyFeed, checkSchemaChange, setHold } from '../core/replica/feed.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { SchemaChange } from '../core/schema/change.ts';
import type { Feed } from '../protocol/feed.ts';
import type { SchemaCheck, SchemaFate } from '../protocol/schema.ts';
import type { Peers, Surroundings } from './surroundings.ts';

const SYSTEM_PARTITION = 0 as PartitionId;

/** What a partition takes from the system partition's log: schema changes, and writes of reference tables. */
export class FeedFollower {
  readonly #replica: () => Replica;
  readonly #peers: Peers;
  readonly #pause: Surroundings['pause'];

  constructor(replica: () => Replica, { peers, pause }: Surroundings) {
    this.#replica = replica;
    this.#peers = peers;
    this.#pause = pause;
  }

  /** Takes what the system partition has pushed; pulls what lies before it. */
  async follow(feed: Feed): Promise<{ system: number }> {
    if (!applyFeed(this.#replica(), feed, Date.now())) await this.catchUp();
    return { system: this.#replica().systemIndex };
  }

  /** Applies all that the system partition has. False when there was nothing. */
  async catchUp(): Promise<boolean> {
    const replica = this.#replica();
    const start = replica.systemIndex;
    for (;;) {
      const from = replica.systemIndex;
      const feed = await this.#ask<Feed>('feed-read', { from });
      applyFeed(replica, feed, Date.now());
      if (feed.entries.length === 0 || replica.systemIndex === from) return replica.systemIndex > start;
    }
  }

  /** @throws AtollError for which the change cannot be made here */
  async check({ proposal, change, system }: SchemaCheck): Promise<{ passed: true }> {
    if (this.#replica().systemIndex < system) await this.catchUp();
    const result = checkSchemaChange(this.#replica(), proposal, change as SchemaChange, Date.now());
    if (result.kind === 'failed') throw failureOf(result.error);
    return { passed: true };
  }

  learnFate({ proposal, state }: SchemaFate): void {
    const replica = this.#replica();
    if (state === 'withdrawn' && replica.hold === proposal) setHold(replica, null, Date.now());
  }

  /** Writes are held for a proposal: its end may have been told to an earlier instance, or not at all. */
  async askFate(proposal: number, waitMs: number): Promise<void> {
    await this.#pause(waitMs);
    const replica = this.#replica();
    if (replica.hold !== proposal || replica.isSystem) return;
    const fate = await this.#ask<SchemaFate>('schema-state', { proposal });
    if (fate.state === 'published') await this.catchUp();
    else this.learnFate(fate);
  }

  #ask<Answer>(type: string, message: unknown): Promise<Answer> {
    return this.#peers.call(this.#replica().identity.database, SYSTEM_PARTITION, type, message);
  }
}
