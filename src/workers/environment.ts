/** Bindings of `wrangler.toml`. */
export interface ObjectEnvironment {
  readonly PARTITION: DurableObjectNamespace;
  /** The static admin token. */
  readonly ATOLL_TOKEN?: string;
  /** What hosts prove to each other. */
  readonly ATOLL_SECRET?: string;
  readonly ATOLL_CORS_ORIGINS?: string;
}
