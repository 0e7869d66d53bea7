import type { PartitionId } from '../base/brand.ts';
import type { SqlitePort } from '../core/sqlite/port.ts';
import type { Coalescing } from '../gateway/lane.ts';
import type { SessionSeal } from '../protocol/session-seal.ts';
import type { HostKey } from '../rpc/host-key.ts';

/** The other partitions of the database, as this one reaches them. */
export interface Peers {
  /**
   * Sends one message and reads the answer, for `milliseconds` at most. Error: the one that the peer answers, or
   * `unavailable`.
   */
  call<Answer>(
    database: string,
    partition: PartitionId,
    type: string,
    message: unknown,
    milliseconds?: number,
  ): Promise<Answer>;
}

/** What the server of a partition needs of the host that it runs on: a Durable Object, or an agent. */
export interface Surroundings {
  readonly port: SqlitePort;
  readonly peers: Peers;
  /** The cluster secret; undefined: no host is let in. */
  readonly secret: string | undefined;
  /** Of session tokens. */
  readonly seal: SessionSeal;
  /** Who this host is; null: the edge, which has no key. */
  readonly key: HostKey | null;
  /** Resolves when all that was written is on disk. */
  durable(): Promise<void>;
  /** Calls `alarm` at that time (Unix ms), also if this instance is gone by then; a later call replaces an earlier one. */
  setAlarm(at: number): void;
  pause(milliseconds: number): Promise<void>;
  /** Of prepares for other partitions; for tests. */
  readonly coalescing?: Coalescing;
  /** After a defect: this instance does not go on, the next one starts from the file. */
  abandon(): void;
}
