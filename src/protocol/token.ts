/** A token that was made, without its secret. Times are ISO 8601. */
export interface TokenRecord {
  readonly id: string;
  readonly role: string;
  /** Null: all databases. */
  readonly databases: readonly string[] | null;
  readonly createdAt: string;
  /** Null: never. */
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
}
