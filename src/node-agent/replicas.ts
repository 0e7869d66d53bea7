import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { Append, FollowAgain, replicationMessage } from '../protocol/replication.ts';
import type { Dialler } from '../rpc/dial.ts';
import type { HandshakeError } from '../rpc/handshake.ts';
import type { LinkHandlers, Message } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';
import { type DataDirectory, partitionFile } from './data-directory.ts';
import type { DialledLink } from './links/dial.ts';
import type { OpenLink } from './links/open-link.ts';
import { StandingLink } from './links/standing-link.ts';
import type { LogEvent } from './log.ts';
import { Comparisons } from './replication/comparisons.ts';
import { PartitionCopy } from './replication/partition-copy.ts';
import type { Storage } from './storage/storage.ts';

/** How often the link to the system partition is asked whether it lives, ms (chosen: with the heartbeats). */
const CONTROL_PING_MS = 5_000;
/** The others', ms (chosen: when the control link is lost they are all asked; this finds what is lost alone). */
const PARTITION_PING_MS = 60_000;
/** A link that only carried calls is closed when none has come for this long, ms (chosen). */
const IDLE_LINK_MS = 60_000;

export interface ReplicasOptions {
  readonly database: string;
  readonly directory: DataDirectory;
  readonly storage: Storage;
  readonly log: LogEvent;
  /** How often each replica is compared with its leader's, ms. */
  readonly compareMs: number;
  /** Base URLs of the edge. */
  readonly seeds: readonly string[];
  readonly dialler: () => Dialler;
  /** What this host answers on a link to the object of a partition. */
  readonly handlers: (partition: PartitionId) => LinkHandlers;
  /** The control link is open. */
  readonly onControl: (link: DialledLink) => void;
  readonly onRefused: (error: HandshakeError) => void;
  /** The system partition cannot be reached; it is tried again. */
  readonly onUnreached: (message: string) => void;
}

interface Reached {
  readonly link: StandingLink;
  usedAt: number;
}

/** The replicas that this host holds, and its links to the objects that lead partitions. */
export class Replicas {
  readonly #options: ReplicasOptions;
  readonly #copies = new Map<PartitionId, PartitionCopy>();
  readonly #links = new Map<PartitionId, Reached>();
  readonly #tidying: ReturnType<typeof setInterval>;
  #stopped = false;
  /** The last one that was begun; never rejects. */
  #assigning: Promise<void> = Promise.resolve();
  readonly #comparing: ReturnType<typeof setInterval>;
  readonly comparisons: Comparisons;

  constructor(options: ReplicasOptions) {
    this.#options = options;
    this.#tidying = setInterval(() => this.#closeIdle(), IDLE_LINK_MS);
    this.comparisons = new Comparisons(() => this.copies, options.compareMs, options.log);
    this.#comparing = setInterval(() => void this.comparisons.tick(), this.comparisons.tickMs);
  }

  get copies(): PartitionCopy[] {
    return [...this.#copies.values()];
  }

  get links(): readonly (readonly [PartitionId, OpenLink | null])[] {
    return [...this.#links].map(([partition, { link }]) => [partition, link.open] as const);
  }

  copy(database: string, partition: PartitionId): PartitionCopy | null {
    return database === this.#options.database ? (this.#copies.get(partition) ?? null) : null;
  }

  /** The link to the partition's object; see StandingLink.ready. */
  link(partition: PartitionId, deadline: number): Promise<OpenLink> {
    return this.#reach(partition).ready(deadline);
  }

  /** Loads what is in the data directory, and begins to follow it. */
  async start(): Promise<void> {
    const { directory, database } = this.#options;
    const here = directory.partitions().filter((each) => each.database === database);
    await Promise.all(here.map(({ partition }) => this.#hold(partition).load()));
    // What has no data is of a replica that was let go of, or is assigned again.
    for (const { partition, position } of this.copies) if (position === null) this.#copies.delete(partition);
    // A newcomer has nothing to follow yet, and asks there to be taken in.
    for (const partition of new Set([SYSTEM_PARTITION, ...this.#copies.keys()])) this.#reach(partition);
  }

  /** Holds the replicas that the cluster wants here, and lets go of the others. One at a time: a replica on its way out has no link. */
  assign(partitions: readonly PartitionId[]): Promise<void> {
    const assigned = this.#assigning.then(() => this.#assign(partitions));
    this.#assigning = assigned.catch(() => undefined);
    return assigned;
  }

  async #assign(partitions: readonly PartitionId[]): Promise<void> {
    const wanted = new Set([SYSTEM_PARTITION, ...partitions]);
    for (const partition of wanted) {
      if (this.#copies.has(partition)) continue;
      this.#options.log('info', 'replica-assigned', { partition });
      this.#hold(partition);
      const open = this.#reach(partition).open;
      if (open !== null) this.#follow(partition, open);
    }
    await Promise.all(
      this.copies.filter(({ partition }) => !wanted.has(partition)).map((copy) => this.#release(copy)),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#tidying);
    clearInterval(this.#comparing);
    await Promise.all([...this.#links.values()].map(({ link }) => link.stop('the agent stops')));
  }

  /** The control link is gone: the way to the other objects may be, too. */
  pingAll(): void {
    for (const { link } of this.#links.values()) link.open?.ping();
  }

  #hold(partition: PartitionId): PartitionCopy {
    let copy = this.#copies.get(partition);
    if (copy === undefined) {
      const { directory, database, storage, log } = this.#options;
      const file = partitionFile(directory.path, { database, partition });
      copy = new PartitionCopy({ partition, file, storage, log });
      this.#copies.set(partition, copy);
    }
    return copy;
  }

  /** The file stays, under another name: should the cluster be lost, it is one more copy. */
  async #release({ partition, file }: PartitionCopy): Promise<void> {
    const { storage, log } = this.#options;
    this.#copies.delete(partition);
    // It is closed at once. An attempt to open it may take long: heartbeats do not wait for that.
    void this.#links.get(partition)?.link.stop('the replica moves');
    this.#links.delete(partition);
    const aside = await storage.call(file, 'release');
    log('info', 'replica-released', { partition, aside });
  }

  #reach(partition: PartitionId): StandingLink {
    let reached = this.#links.get(partition);
    if (reached === undefined) {
      reached = { link: this.#dial(partition), usedAt: 0 };
      this.#links.set(partition, reached);
    }
    reached.usedAt = Date.now();
    return reached.link;
  }

  #dial(partition: PartitionId): StandingLink {
    const { seeds, dialler, log, onRefused, onUnreached, onControl, handlers } = this.#options;
    const isControl = partition === SYSTEM_PARTITION;
    const own = handlers(partition);
    const append = (message: Message): void => {
      const named = readHead(Append, replicationMessage.append, message.head).partition as PartitionId;
      this.#copies.get(named)?.append(message);
    };
    const followAgain = ({ head }: Message): void => {
      const named = readHead(FollowAgain, replicationMessage.followAgain, head).partition as PartitionId;
      this.#copies.get(named)?.followAgain();
    };
    const events = {
      ...own.events,
      [replicationMessage.append]: append,
      [replicationMessage.followAgain]: followAgain,
    };
    return new StandingLink({
      urls: () => seeds,
      partition,
      dialler,
      handlers: { ...own, events },
      pingEveryMs: isControl ? CONTROL_PING_MS : PARTITION_PING_MS,
      log,
      onRefused,
      ...(isControl && { onUnreached }),
      onOpen: (link) => {
        this.#follow(partition, link.open);
        if (!isControl) return;
        onControl(link);
        // Where the system partition is back, the others are.
        for (const { link: other } of this.#links.values()) other.hurry();
        void link.open.closed.then(() => this.pingAll());
      },
    });
  }

  #follow(partition: PartitionId, open: OpenLink): void {
    void this.#copies.get(partition)?.follow(open);
  }

  #closeIdle(): void {
    const oldest = Date.now() - IDLE_LINK_MS;
    for (const [partition, { link, usedAt }] of this.#links) {
      // A newcomer holds nothing yet, and asks there to be taken in.
      const isWanted = partition === SYSTEM_PARTITION || this.#copies.has(partition);
      if (isWanted || usedAt > oldest || this.#stopped) continue;
      this.#links.delete(partition);
      void link.stop('idle');
    }
  }
}
