import type { PartitionId } from '../base/brand.ts';
import type { Freshness } from './freshness.ts';

/** How a router reaches a partition. The Worker binds it to Durable Object stubs, an agent to its sockets. */
export interface PartitionTransport {
  /**
   * Delivers one message and resolves with the partition's answer. Rejects when it cannot be known whether
   * the partition has seen the message.
   */
  call(database: string, partition: PartitionId, message: PartitionMessage): Promise<Response>;
}

export interface PartitionMessage {
  /** The message's type: the last segment of its path (`docs/protocol.md`, Messages). */
  readonly type: string;
  /** Body, JSON text or a stream of bytes. */
  readonly body: string | Uint8Array;
  /** Unix milliseconds after which nobody waits for the answer. */
  readonly deadline: number;
  /** `traceparent` of the request this belongs to. */
  readonly trace: string;
  readonly signal?: AbortSignal;
  /** An `execute` with a short answer: it may go together with others (`execute-many`). Its body is text. */
  readonly coalesces?: boolean;
  /** Lets work go on after the request is answered. */
  readonly background?: (work: Promise<void>) => void;
  /** Of reads that a replica may answer. The message demands the same of it: what is too old refuses. */
  readonly freshness?: Freshness;
}
