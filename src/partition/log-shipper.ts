import type { CommitId } from '../base/brand.ts';
import type { Replica } from '../core/replica/replica.ts';
import { type Position, readPosition } from '../core/replication/position.ts';
import { type Answer, Shipper } from '../core/replication/shipper.ts';
import type { SnapshotCursor } from '../core/replication/snapshot-format.ts';
import {
  Appended,
  Follow,
  type FollowReply,
  ReadIndex,
  type ReadIndexReply,
  replicationMessage,
  SnapshotOpen,
  SnapshotPageRequest,
} from '../protocol/replication.ts';
import type { CallHandler, EventHandler, Link } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';

/**
 * Writes that follow each other so closely travel together, ms (chosen: less than half of what a learner may lag; measured: at
 * 5 ms two learners cost inserts a tenth more).
 */
const GATHER_MS = 24;
/**
 * How much longer a write waits for one that takes it along, ms (chosen). To read the log right after a write costs half of
 * what it costs in a turn of its own, when the file has to be taken up again (measured).
 */
const COMPANY_MS = 8;

/** Sends the log of the partition that is led here to the hosts that follow it: {@link Shipper} over links and timers. */
export class LogShipper {
  readonly #replica: () => Replica;
  readonly #shipper: Shipper<Link>;
  /** Unix ms when what there was was last sent. */
  #shippedAt = 0;
  /** Whether the log may have grown since. */
  #unsent = false;
  #gathering = false;
  #waking: ReturnType<typeof setTimeout> | null = null;
  #stopped = false;

  constructor(replica: () => Replica) {
    this.#replica = replica;
    this.#shipper = new Shipper(replica, { versionOf: ({ peer }) => peer.version });
  }

  /** A link on which this object may have shipped before it slept: a follower says where it is by following again. */
  resume(link: Link): void {
    link.event(replicationMessage.followAgain, { partition: this.#replica().identity.partition });
  }

  forget(link: Link): void {
    this.#shipper.forget(link);
  }

  /** The host is no member any more. */
  dismiss(host: string): void {
    this.#shipper.dismiss(host);
  }

  /** The file is closed: nothing is read any more. */
  stop(): void {
    this.#stopped = true;
    if (this.#waking !== null) clearTimeout(this.#waking);
  }

  /** The log may have grown, just now. */
  grown(): void {
    if (this.#shipper.isIdle) return;
    if (this.#sinceShipped < GATHER_MS) {
      this.#gather();
      return;
    }
    try {
      // Not a moment later: once the write is on its way to the disk, the file has to be taken up again.
      this.#ship();
    } catch {
      // The write is done, whatever this is: the timer meets it again, where it is nobody else's.
      this.#gather();
    }
  }

  /** What is there, and what is written meanwhile, travels together. */
  #gather(): void {
    this.#unsent = true;
    if (this.#gathering) return;
    this.#gathering = true;
    setTimeout(
      () => {
        this.#gathering = false;
        if (!this.#unsent) return;
        if (this.#sinceShipped < GATHER_MS) this.#gather();
        else this.#ship();
      },
      Math.max(0, GATHER_MS + COMPANY_MS - this.#sinceShipped),
    );
  }

  /** Ms; long ago for a clock that was set back. */
  get #sinceShipped(): number {
    const since = Date.now() - this.#shippedAt;
    return since < 0 ? Number.POSITIVE_INFINITY : since;
  }

  readonly events = (link: () => Link): Record<string, EventHandler> => ({
    [replicationMessage.appended]: ({ head }, from) => {
      const answer = readHead(Appended, 'appended', head) as unknown as Answer;
      // Whoever has not been let through to `follow` gets nothing.
      if (!this.#shipper.answered(link(), from.host, answer, Date.now())) this.resume(link());
      // Not at once: what is written meanwhile travels together.
      if (this.#shipper.isBehind) this.#gather();
    },
  });

  readonly calls = (link: () => Link): Record<string, CallHandler> => ({
    [replicationMessage.follow]: ({ head }, from) => {
      const position = readHead(Follow, 'follow', head).position as unknown as Position | null;
      const reply: FollowReply = this.#shipper.follow(link(), from.host, position, Date.now());
      // Not before the reply to this call.
      setTimeout(() => this.#ship(), 0);
      return { head: reply, data: NO_DATA };
    },
    [replicationMessage.snapshotOpen]: ({ head }, from) => {
      readHead(SnapshotOpen, 'snapshot-open', head);
      return { head: { snapshot: this.#shipper.openSnapshot(from.host, Date.now()) }, data: NO_DATA };
    },
    [replicationMessage.snapshotPage]: ({ head }, from) => {
      const { base, cursor } = readHead(SnapshotPageRequest, 'snapshot-page', head);
      const page = this.#shipper.snapshotPage(
        from.host,
        base as CommitId,
        cursor as SnapshotCursor,
        Date.now(),
      );
      if (page === 'gone') return { head: { kind: 'gone' }, data: NO_DATA };
      return { head: { kind: 'page', page: page.head }, data: page.data };
    },
    [replicationMessage.readIndex]: ({ head }) => {
      readHead(ReadIndex, 'read-index', head);
      const { commitId, term, timestamp } = readPosition(this.#replica().port);
      return { head: { commitId, term, timestamp } satisfies ReadIndexReply, data: NO_DATA };
    },
  });

  #ship(): void {
    if (this.#stopped) return;
    const now = Date.now();
    this.#shippedAt = now;
    this.#unsent = false;
    for (const { link, type, head, ...rest } of this.#shipper.messages(now)) {
      link.event(type, head, 'data' in rest ? rest.data : undefined);
    }
    this.#wakeAt(this.#shipper.dueAt);
  }

  /** What is under way is looked after, and what waits is sent, even if nothing else happens. */
  #wakeAt(dueAt: number | null): void {
    if (this.#waking !== null) clearTimeout(this.#waking);
    this.#waking = null;
    if (dueAt === null) return;
    this.#waking = setTimeout(
      () => {
        this.#waking = null;
        this.#ship();
      },
      Math.max(1, dueAt - Date.now()),
    );
  }
}

const NO_DATA = new Uint8Array(0);
