import type { PartitionId, TableId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { failureOf } from '../core/execution/failure.ts';
import { readFeed } from '../core/replica/feed.ts';
import { buildsOf, viewBuilds } from '../core/replica/index-builds.ts';
import { beginRestore, endRestore, restoreUnderWay } from '../core/replica/restore.ts';
import { readRetention, setRetention } from '../core/replica/retention.ts';
import type { Proposal, System } from '../core/replica/system.ts';
import { withFilling } from '../core/schema/apply-change.ts';
import { AtollError, toAtollError } from '../protocol/error.ts';
import type { Feed } from '../protocol/feed.ts';
import type { HostRemoved } from '../protocol/hosts.ts';
import type { RestoreReply } from '../protocol/restore.ts';
import type {
  IndexBuildView,
  SchemaChangeReply,
  SchemaChangeRequest,
  SchemaCheckReply,
  SchemaFate,
} from '../protocol/schema.ts';
import type { RetentionReply, RetentionRequest } from '../protocol/settings.ts';
import { IndexBuilder } from './index-builder.ts';
import { deadlineOf } from './patience.ts';
import { ReferenceWrites } from './reference-writes.ts';
import type { Surroundings } from './surroundings.ts';

/** How long after a failed delivery the system partition tries again, ms (chosen). */
const RETRY_MS = 2_000;
/** A restore of whose router nothing was heard for so long is given up, ms (chosen: five of its signs of life). */
const RESTORE_SILENCE_MS = 20_000;
/** What a partition may take to hear that a host is removed, ms (chosen: nobody waits). */
const REMOVED_MS = 5_000;
/** What a partition may take to try a restore's definitions, ms (chosen: indexes over all of its rows, nobody waits). */
const RESTORE_CHECK_MS = 100_000;

/**
 * What the system partition does with the others: creates them, takes schema changes through check and
 * publication, and delivers the feed. What it must not forget is in its tables; a start finishes or withdraws
 * what an earlier instance left.
 */
export class Coordinator {
  readonly #system: System;
  readonly #peers: Surroundings['peers'];
  readonly builder: IndexBuilder;
  readonly #setAlarm: (at: number) => void;
  readonly references: ReferenceWrites;
  /** Schema changes run one after another. */
  #changes: Promise<unknown> = Promise.resolve();
  /** Where the next delivery starts; a partition that is not so far pulls what it lacks. */
  #delivered: number;
  #confirmed = 0;
  /** Unix milliseconds. */
  #heardOfRestore = 0;

  constructor(
    system: System,
    { peers, pause }: Pick<Surroundings, 'peers' | 'pause'>,
    setAlarm: (at: number) => void,
    wantBuild: (at: number) => void,
  ) {
    this.#system = system;
    this.#peers = peers;
    this.#setAlarm = setAlarm;
    this.references = new ReferenceWrites(system, peers);
    this.#delivered = system.replica.feedIndex;
    const undecided = system.undecided();
    if (undecided !== null) {
      // Whoever was deciding it is gone, and nobody was told that it was published.
      system.withdraw(undecided, 'the system partition restarted before it was decided', Date.now());
      this.#setAlarm(Date.now());
    }
    this.builder = new IndexBuilder({
      system,
      peers,
      pause,
      wantAlarm: wantBuild,
      inTurn: (change) => this.#inTurn(change),
      deliver: () => this.deliver(),
    });
    // Its router cannot go on: what it was told to be in may have been lost with this object.
    this.#giveUpRestore();
  }

  /**
   * A host is no member any more. Who does not hear of it now finds out when the host confirms entries, and does not wait for it longer than
   * for any host that is away.
   */
  async tellRemoved(host: string): Promise<void> {
    const message: HostRemoved = { host };
    const told = [SYSTEM_PARTITION, ...this.#system.partitionIds()].map(async (partition) => {
      try {
        await this.#call(partition, 'host-removed', message, REMOVED_MS);
      } catch (error) {
        console.warn(`partition ${partition} was not told that host ${host} is removed: ${String(error)}`);
      }
    });
    await Promise.all(told);
  }

  /** Up to which commit every partition has told this instance that it follows: nobody needs the log before it. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Creates the partitions that do not exist yet. May be repeated without harm. */
  async createPartitions(): Promise<void> {
    await Promise.all(
      this.#system.uncreated().map(async (identity) => {
        await this.#call(identity.partition, 'create', { identity });
        this.#system.confirmCreated(identity.partition, Date.now());
      }),
    );
  }

  async serveChange(incoming: Request): Promise<Response> {
    const { statements } = (await incoming.json()) as SchemaChangeRequest;
    return Response.json(await this.changeSchema(statements, deadlineOf(incoming)));
  }

  /** How long logs are kept, after what is `set`. `pending`: partitions that will hear of it, and have not yet. */
  async retention({ set }: RetentionRequest): Promise<RetentionReply> {
    const { replica } = this.#system;
    if (set !== undefined) setRetention(replica, set, Date.now());
    const pending = set === undefined ? [] : await this.deliver();
    return { ...readRetention(replica.port), pending };
  }

  fateOf(proposal: number): SchemaFate {
    return { proposal, state: this.#system.stateOf(proposal) };
  }

  builds(): { builds: IndexBuildView[] } {
    return { builds: viewBuilds(this.#system) };
  }

  /** Resolves when an index that is built over rows is there too; `until`: how long that is waited for, Unix ms. */
  async changeSchema(
    statements: readonly string[],
    until: number,
    restore?: string,
  ): Promise<SchemaChangeReply> {
    const reply = await this.#inTurn(() => this.#changeSchema(statements, restore));
    const builds = buildsOf(this.#system, statements).map((index) => this.builder.ended(index, until));
    this.builder.start();
    for (const end of await Promise.all(builds)) {
      if (end === 'building') throw stillBuilding();
      if (end !== null) throw end;
    }
    return reply;
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(change);
    this.#changes = done.catch(() => undefined);
    return done;
  }

  // --- Restores ------------------------------------------------------------------------------------------

  beginRestore(id: string): Promise<RestoreReply> {
    return this.#inTurn(async () => {
      beginRestore(this.#system, id, Date.now());
      this.#heardOfRestore = Date.now();
      this.#setAlarm(Date.now() + RESTORE_SILENCE_MS);
      await this.deliver();
      return { state: 'restoring' };
    });
  }

  /** Its router is there: see {@link RESTORE_SILENCE_MS}. */
  keepRestore(id: string): RestoreReply {
    if (restoreUnderWay(this.#system) !== id) return { state: 'unknown' };
    this.#heardOfRestore = Date.now();
    return { state: 'restoring' };
  }

  endRestore(id: string, publish: boolean): Promise<RestoreReply> {
    return this.#inTurn(async () => {
      const state = endRestore(this.#system, id, publish, Date.now());
      await this.deliver();
      return { state };
    });
  }

  /** Ends a restore whose router has vanished. */
  async endSilentRestore(): Promise<void> {
    const id = restoreUnderWay(this.#system);
    if (id === null) return;
    const patience = this.#heardOfRestore + RESTORE_SILENCE_MS - Date.now();
    if (patience > 0) this.#setAlarm(Date.now() + patience);
    else await this.endRestore(id, false);
  }

  #giveUpRestore(): void {
    const id = restoreUnderWay(this.#system);
    if (id === null) return;
    endRestore(this.#system, id, false, Date.now());
    this.#setAlarm(Date.now());
  }

  // --- Schema changes ------------------------------------------------------------------------------------

  async #changeSchema(statements: readonly string[], restore?: string): Promise<SchemaChangeReply> {
    const proposal = this.#propose(statements, restore);
    if (proposal === null) {
      return { version: this.#system.replica.schema.version, changed: false, pending: [] };
    }
    const checked = await this.#check(proposal);
    const refusal = checked instanceof AtollError ? checked : mixedBuild(statements, checked);
    const filling = checked instanceof AtollError ? [] : checked;
    const decided = { ...proposal, change: withFilling(proposal.change, filling) };
    const error = this.#system.decide(decided, refusal, Date.now());
    if (error !== null) {
      const fate = { proposal: proposal.proposal, state: 'withdrawn' };
      const partitions = this.#system.partitionIds();
      await Promise.allSettled(partitions.map((partition) => this.#call(partition, 'schema-fate', fate)));
      throw error;
    }
    await this.deliver();
    return { version: proposal.change.version, changed: true, pending: this.#system.behindSchema() };
  }

  #propose(statements: readonly string[], restore?: string): Proposal | null {
    try {
      return this.#system.propose(statements, Date.now(), restore);
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** Every partition must pass, or the proposal is withdrawn for the reason that this gives. Else: the indexes that are built over rows. */
  async #check({ proposal, change }: Proposal): Promise<AtollError | TableId[]> {
    const system = this.#system.replica.feedIndex;
    const partitions = this.#system.partitionIds();
    const patience = change.catalogue.restoring === undefined ? undefined : RESTORE_CHECK_MS;
    const answers = await Promise.allSettled(
      partitions.map((partition) =>
        this.#call<SchemaCheckReply>(partition, 'schema-check', { proposal, change, system }, patience),
      ),
    );
    const failed = answers.findIndex((answer) => answer.status === 'rejected');
    if (failed < 0)
      return answers.flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value.filling ?? []) : []));
    const { reason } = answers[failed] as PromiseRejectedResult;
    const message = `partition ${partitions[failed]}: ${(reason as Error).message}; the schema is unchanged`;
    return new AtollError(toAtollError(reason).code, message, 'none');
  }

  /**
   * Brings every partition up to the end of the feed. Returns those that did not confirm; they are tried again
   * later, and catch up by themselves when they are touched.
   */
  async deliver(thaws?: readonly string[]): Promise<PartitionId[]> {
    const { replica } = this.#system;
    const upTo = replica.feedIndex;
    const version = replica.schema.version;
    const partitions = this.#system.partitionIds();
    const latest: Feed = { ...this.#latest(upTo), ...(thaws !== undefined && { thaws }) };
    const answers = await Promise.allSettled(
      partitions.map((partition) => this.#call<{ system: number }>(partition, 'feed', latest)),
    );
    const confirmed = (_: PartitionId, index: number): boolean => {
      const answer = answers[index];
      return answer?.status === 'fulfilled' && answer.value.system >= upTo;
    };
    const done = partitions.filter(confirmed);
    const missing = partitions.filter((partition, index) => !confirmed(partition, index));
    const behind = new Set(this.#system.behindSchema());
    const news = done.filter((partition) => behind.has(partition));
    if (news.length > 0) this.#system.recordApplied(version, news, Date.now());
    if (missing.length === 0) {
      this.#delivered = Math.max(this.#delivered, upTo);
      this.#confirmed = Math.max(this.#confirmed, upTo);
    } else this.#setAlarm(Date.now() + RETRY_MS);
    return missing;
  }

  /** A write of a reference table is answered when every partition has it: later strong reads see it anywhere. */
  async delivered(freeze: string | null): Promise<void> {
    if (freeze !== null) this.references.over(freeze);
    const missing = await this.deliver(freeze === null ? [] : [freeze]);
    if (missing.length === 0) return;
    throw new AtollError(
      'unavailable',
      `the write is committed, but partition ${missing.join(', ')} has not confirmed it yet; it will be delivered`,
      'unknown',
    );
  }

  /** What was not delivered everywhere yet. More than one message takes: only its end, and partitions pull the rest. */
  #latest(upTo: number): Feed {
    const feed = readFeed(this.#system.replica, this.#delivered);
    const whole = this.#delivered === upTo || feed.entries.at(-1)?.index === upTo;
    return whole ? feed : { from: upTo, entries: [] };
  }

  #call<Answer>(
    partition: PartitionId,
    type: string,
    message: unknown,
    milliseconds?: number,
  ): Promise<Answer> {
    const { database } = this.#system.replica.identity;
    return this.#peers.call(database, partition, type, message, milliseconds);
  }
}

/** If the build fails, the index goes, and nothing else may have come with it. */
function mixedBuild({ length }: readonly string[], filling: readonly TableId[]): AtollError | null {
  if (filling.length === 0 || length === 1) return null;
  return new AtollError(
    'unsupported',
    'an index over partitions is built over rows that are there: send its CREATE UNIQUE INDEX by itself; the schema is unchanged',
    'none',
    { alone: 'CREATE UNIQUE INDEX' },
  );
}

function stillBuilding(): AtollError {
  return new AtollError(
    'timeout',
    'the index is being built over the rows that are there, and that goes on in the background: GET /v1/schema shows how far it is ' +
      'and how it ends; writes keep it from now on, and DROP INDEX gives it up',
    'unknown',
  );
}
