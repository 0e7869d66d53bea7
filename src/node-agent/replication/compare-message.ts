import * as v from 'valibot';

/**
 * Comparison of a replica with its leader's, at one commit: call `compare`, follower → leader. The leader counts its rows in
 * steps, one for each call: it keeps nothing running between them, and a question that is repeated does no harm.
 */
export const COMPARE = 'compare';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const CompareRequest = v.object({
  partition: count,
  /** The commit that both sides are compared as of. */
  at: count,
  /** Nodes of the tree: core/replication/merkle.ts. */
  question: v.pipe(v.array(v.object({ table: v.string(), level: count, index: count })), v.maxLength(1024)),
});
export type CompareRequest = v.InferOutput<typeof CompareRequest>;

/** `counting`: ask again. `gone`: the log does not reach back to the commit, or the schema has changed since. */
export const CompareReply = v.variant('kind', [
  v.object({ kind: v.literal('counting') }),
  v.object({ kind: v.literal('gone') }),
  v.object({
    kind: v.literal('answer'),
    /** In the order of the question; null for a table that is not there. */
    digests: v.pipe(v.array(v.nullable(v.pipe(v.string(), v.maxLength(64)))), v.maxLength(1024)),
  }),
]);
export type CompareReply = v.InferOutput<typeof CompareReply>;
