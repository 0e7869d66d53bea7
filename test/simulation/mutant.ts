/**
 * Planted defects: a piece of unmodified source, and what stands in its place. Each is a bug that others have shipped or
 * that the design warns of; the simulator must find every one, and none of its parts knows them.
 */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Only runs of this workload can show it: others are passed over. */
  readonly workload?: string;
}
