import type { PartitionId } from '../../src/base/brand.ts';
import type { SchemaChange } from '../../src/core/schema/change.ts';
import type { AtollError } from '../../src/protocol/error.ts';
import type { Feed } from '../../src/protocol/feed.ts';
import type { Coverage } from './coverage.ts';
import type { Random } from './random.ts';

export type Message =
  | {
      readonly type: 'check';
      readonly proposal: number;
      readonly change: SchemaChange;
      readonly system: number;
    }
  | { readonly type: 'fate'; readonly proposal: number; readonly state: 'withdrawn' }
  | { readonly type: 'feed'; readonly feed: Feed }
  | {
      readonly type: 'answer';
      readonly from: PartitionId;
      readonly proposal: number;
      readonly error: AtollError | null;
    };

export interface Sent {
  readonly to: PartitionId;
  readonly message: Message;
}

/** Messages under way. They arrive in any order, twice, or never. */
export class Messages {
  /** Whether messages are lost and repeated; in any order they always are. */
  trouble = true;
  readonly #random: Random;
  readonly #coverage: Coverage;
  readonly #sent: Sent[] = [];

  constructor(random: Random, coverage: Coverage) {
    this.#random = random;
    this.#coverage = coverage;
  }

  get empty(): boolean {
    return this.#sent.length === 0;
  }

  send(to: PartitionId, message: Message): void {
    if (this.trouble && this.#random.chance(0.03)) {
      this.#coverage.lost++;
      return;
    }
    this.#sent.push({ to, message });
    if (this.trouble && this.#random.chance(0.08)) {
      this.#coverage.repeated++;
      this.#sent.push({ to, message });
    }
  }

  take(): Sent | undefined {
    if (this.empty) return undefined;
    return this.#sent.splice(this.#random.below(this.#sent.length), 1)[0];
  }
}
