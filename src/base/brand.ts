declare const brand: unique symbol;

/** A nominal type over a primitive, so that a commit id cannot be passed where an epoch is meant. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Dense from 1 within a partition's log; 0 is "before the first". The Raft index. */
export type CommitId = Brand<number, 'CommitId'>;
/** Raft term; rises at every leader start. */
export type Term = Brand<number, 'Term'>;
/** Version of a partition's ownership (token ranges, members). */
export type Epoch = Brand<number, 'Epoch'>;
/** Version of a database's schema, dense from 0 (the empty schema). */
export type SchemaVersion = Brand<number, 'SchemaVersion'>;
/** Partition number in its database; 0 is the system partition. */
export type PartitionId = Brand<number, 'PartitionId'>;
/** MurmurHash3 of an encoded partition key: 0 … 2^32 − 1. */
export type Token = Brand<number, 'Token'>;
/** A table's number in its database: never reused, survives renames. */
export type TableId = Brand<number, 'TableId'>;
/** Hybrid logical clock reading: 16 hex digits, `-`, node id. Text order is time order. */
export type Timestamp = Brand<string, 'Timestamp'>;
