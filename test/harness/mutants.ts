/**
 * Defects that can be planted in what followers do, to see that the simulation finds each of them. They change what passes
 * between the parts; the parts themselves, and whoever looks for defects, do not know of them.
 */
export const MUTANTS = [
  /** An agent confirms entries before they are in its file. */
  'ack-before-durable',
  /** A follower's log lacks the images of rows as they were before. */
  'no-before-image',
  /** Entries that came already are applied once more. */
  'duplicate-applied',
  /** A page of a snapshot arrives empty. */
  'snapshot-page-lost',
  /** What follows a snapshot begins with its last entry, not behind it. */
  'tail-from-base',
  /** The leader goes on where a host was before it lost its disk. */
  'old-matched-kept',
  /** A follower answers what it has not reached yet. */
  'serves-behind',
  /** Gossip takes whatever document comes. */
  'older-document-taken',
  /** Entries are forgotten at the leader and none is told: what lies between is skipped. */
  'gap-skipped',
  /** A host's vote counts again when it comes again. */
  'vote-counted-twice',
] as const;
export type Mutant = (typeof MUTANTS)[number];
