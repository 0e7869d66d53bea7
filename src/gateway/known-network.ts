import { present } from '../base/assert.ts';
import type { Epoch, PartitionId } from '../base/brand.ts';
import { type Catalogue, Schema } from '../core/schema/catalogue.ts';
import { TokenMap } from '../core/schema/token-map.ts';
import { KEY_AHEAD_MS } from '../protocol/idempotency-key.ts';
import type { NetworkInformation, StalePartition } from '../protocol/network.ts';
import type { SessionSeal } from '../protocol/session-seal.ts';
import type { PlannedText } from './planned.ts';

/** Plans kept for one schema version (chosen: an application has some hundred texts). */
const PLANS_MAX = 1_000;

/** One version of a database's network information as the router uses it. Immutable but for its cache of plans. */
export class KnownNetwork {
  readonly information: NetworkInformation<Catalogue>;
  /** Of session tokens. */
  readonly seal: SessionSeal;
  readonly schema: Schema;
  readonly tokens: TokenMap;
  readonly #epochs: ReadonlyMap<PartitionId, Epoch>;
  readonly #plans: Map<string, PlannedText>;

  /** `former` is what was known before: as long as the schema is the same, plans stay. */
  constructor(information: NetworkInformation<Catalogue>, seal: SessionSeal, former?: KnownNetwork) {
    this.information = information;
    this.seal = seal;
    const same = former !== undefined && former.schema.version === information.catalogue.version;
    this.schema = same ? former.schema : new Schema(information.catalogue);
    this.#plans = same ? former.#plans : new Map();
    this.tokens = new TokenMap(
      information.version,
      information.partitions.flatMap(({ id, ranges }) =>
        ranges.map((range) => ({ ...range, partition: id })),
      ),
    );
    this.#epochs = new Map(information.partitions.map(({ id, epoch }) => [id, epoch]));
  }

  /** What is known when the system partition has answered `newer`, which may have been overtaken on its way. */
  replacedBy(newer: NetworkInformation<Catalogue>): KnownNetwork {
    const { history, version, schemaVersion } = this.information;
    if (newer.history !== history) return new KnownNetwork(newer, this.seal);
    if (newer.version <= version || newer.schemaVersion < schemaVersion) return this;
    return new KnownNetwork(newer, this.seal, this);
  }

  /**
   * With a newer schema that a partition has told. Null when that is not all that is new there: where tokens
   * have moved, the system partition knows where to.
   */
  updated(stale: StalePartition): KnownNetwork | null {
    const { information } = this;
    const catalogue = stale.catalogue as Catalogue;
    if (stale.history !== information.history || catalogue.version <= this.schema.version) return null;
    if (stale.epoch !== this.epochOf(stale.partition)) return null;
    const updated = {
      ...information,
      schemaVersion: catalogue.version,
      // It is not told when; not later than now.
      schemaChangedMs: Date.now(),
      systemIndex: Math.max(information.systemIndex, stale.systemIndex),
      catalogue,
    };
    return new KnownNetwork(updated, this.seal);
  }

  /** Whether a request whose key was issued then may have been executed before the schema's last change, and so by another plan. */
  mayHaveChangedSince(issuedMs: number): boolean {
    const { schemaChangedMs } = this.information;
    return schemaChangedMs === undefined || issuedMs - KEY_AHEAD_MS <= schemaChangedMs;
  }

  epochOf(partition: PartitionId): Epoch {
    // The system partition has owned the same since it was founded.
    if (partition === 0) return 1 as Epoch;
    return present(this.#epochs.get(partition), () => `partition ${partition} is not in the network`);
  }

  /** The plan of a statement's text, made once for this schema. */
  plan(sql: string, make: () => PlannedText): PlannedText {
    let plan = this.#plans.get(sql);
    if (plan === undefined) {
      plan = make();
      if (this.#plans.size >= PLANS_MAX) {
        const oldest = this.#plans.keys().next();
        if (!oldest.done) this.#plans.delete(oldest.value);
      }
      this.#plans.set(sql, plan);
    }
    return plan;
  }
}
