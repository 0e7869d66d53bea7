/** System partition → partition: try this change, undo it, and hold writes until told how it ends. */
export interface SchemaCheck {
  readonly proposal: number;
  /** `core/schema/change.ts`: SchemaChange. */
  readonly change: unknown;
  /** The partition must have followed the system partition this far before it tries. */
  readonly system: number;
}

/** System partition → partition, or its answer to a partition that asks: how a proposal ended. */
export interface SchemaFate {
  readonly proposal: number;
  readonly state: 'proposed' | 'published' | 'withdrawn';
}

/** Router → system partition: change the schema by these statements, all or nothing. */
export interface SchemaChangeRequest {
  readonly statements: readonly string[];
}

export interface SchemaChangeReply {
  readonly version: number;
  /** False when the statements had no effect (IF NOT EXISTS). */
  readonly changed: boolean;
  /** Partitions that have not confirmed the new version yet; they apply it before they serve anything else. */
  readonly pending: readonly number[];
}
