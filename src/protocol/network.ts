import type { Epoch, PartitionId, SchemaVersion } from '../base/brand.ts';
import type { InDoubt } from './transaction.ts';

/** Tokens from `start`, which belongs to it, to `end`, which does not: 0 ≤ start < end ≤ 2^32. */
export interface WireRange {
  readonly start: number;
  readonly end: number;
}

export interface PartitionInfo {
  readonly id: PartitionId;
  readonly epoch: Epoch;
  readonly ranges: readonly WireRange[];
  readonly status: 'creating' | 'write';
  /** Name of its leader's host. */
  readonly host: string;
  /** By the ledger, the newest schema version that it has confirmed. */
  readonly appliedSchema: SchemaVersion;
}

/** A member of the cluster, or one that is voted on. What is optional, agents have. */
export interface HostInfo {
  readonly host: string;
  /** `edge` or `agent`. */
  readonly kind: string;
  /** `core/network/status.ts`. */
  readonly status: string;
  /** What its operator calls it. */
  readonly name?: string;
  /** Ed25519, raw, base64url: its id is the hash. */
  readonly publicKey?: string;
  /** Base URLs where it takes calls, best first; none: through a host that holds its socket. */
  readonly addresses?: readonly string[];
  /** Partitions of which it has a replica in sync, ascending; by host, since ids of partitions are shorter. */
  readonly replicas?: readonly number[];
  /** Those that it shall have and has not in sync. */
  readonly loading?: readonly number[];
}

/** A partition's answer to `status`. */
export interface PartitionStatus {
  readonly partition: PartitionId;
  readonly epoch: Epoch;
  readonly schema: SchemaVersion;
  /** Up to which commit of the system partition its log is applied here. */
  readonly systemIndex: number;
  /** The schema change that it waits for, holding its writes. */
  readonly hold: number | null;
  /** Of its file, log included. */
  readonly sizeBytes: number;
  /** Id and log time (ISO 8601) of its last commit. */
  readonly commit: number;
  readonly committedAt: string | null;
  /** Transactions over several partitions that wait for their decision, or for all to have applied it. */
  readonly inDoubt: readonly InDoubt[];
  /** Left out by hosts that do not measure it yet. */
  readonly log?: LogStatus;
}

/** A partition's log. */
export interface LogStatus {
  /** Of its images, by the length of a sample. */
  readonly bytes: number;
  /** The oldest moment that it can tell, ISO 8601; null before the first entry. */
  readonly oldestAt: string | null;
  /** Entries past the retention, by what they are kept for: hosts with copies, pages of open reads, and partitions that follow the feed. */
  readonly held: { readonly followers: number; readonly reads: number; readonly feed: number };
}

/**
 * Network information as routers and hosts keep it: which partitions a database has, what each owns, and
 * the schema. `catalogue` is opaque here (`core/schema/catalogue.ts` gives its shape).
 */
export interface NetworkInformation<Catalogue = unknown> {
  readonly database: string;
  /** Rises with every change of partitions, hosts or schema. */
  readonly version: number;
  /** Changes when a database is restored, so that its former tokens cannot be mistaken for new ones. */
  readonly history: string;
  readonly schemaVersion: SchemaVersion;
  /** Unix ms by the system partition's clock: no schema change was decided later. Hosts of before RPC version 4 do not say. */
  readonly schemaChangedMs?: number;
  /** Commit id of the system partition up to which this was read: reference tables are at least this new. */
  readonly systemIndex: number;
  readonly hosts: readonly HostInfo[];
  readonly partitions: readonly PartitionInfo[];
  readonly catalogue: Catalogue;
}

/** Router → system object: make this the system partition of a new database. May be repeated without harm. */
export interface FoundRequest {
  readonly database: string;
  readonly partitions: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** The system partition's answer to `network`. */
export interface NetworkReply<Catalogue = unknown> {
  readonly network: NetworkInformation<Catalogue>;
  /** Public half of the key that signs the cluster's tokens, a JWK as text. */
  readonly verifyingKey: string | null;
  /** Ids of tokens that are no longer valid. */
  readonly revokedTokens: readonly string[];
}

/** A partition's refusal (status 421) of a request that was planned with another epoch or schema than its own. */
export interface StalePartition<Catalogue = unknown> {
  readonly partition: PartitionId;
  readonly history: string;
  readonly epoch: Epoch;
  readonly ranges: readonly WireRange[];
  readonly systemIndex: number;
  readonly catalogue: Catalogue;
}
