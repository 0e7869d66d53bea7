import type { CommitId, PartitionId } from '../../base/brand.ts';
import type { TreeNode } from '../../core/replication/merkle.ts';
import { AtollError } from '../../protocol/error.ts';
import { type Compare, CompareReply, replicationMessage } from '../../protocol/replication.ts';
import type { Link } from '../../rpc/link.ts';
import { readHead } from '../../rpc/read-head.ts';
import type { Storage } from '../storage/storage.ts';

/** Between two steps of counting rows, here and at the leader, ms (chosen: requests go first on both sides). */
const COUNTING_MS = 20;

export type Comparing =
  /** `at`: the last commit here when it began. */
  | { readonly result: 'equal'; readonly at: CommitId }
  /** `tables`: whose rows differ, none if all here are equal and the leader has more; `ranges`: parts of their keys that do. */
  | {
      readonly result: 'different';
      readonly at: CommitId;
      readonly tables: readonly string[];
      readonly ranges: number;
    }
  /** It could not be said: the schema has changed meanwhile, the log was purged, or the replica is another one. */
  | { readonly result: 'gone' }
  /** The leader compares with another follower. */
  | { readonly result: 'busy' };

type Answer = Extract<CompareReply, { kind: 'answer' }>;

/**
 * Compares the replica with its leader's as of its last commit now, while both go on.
 *
 * @throws AtollError of the link; StorageError
 */
export async function compareWithLeader(
  storage: Storage,
  file: string,
  partition: PartitionId,
  link: Link,
): Promise<Comparing> {
  const at = await storage.call(file, 'beginComparison');
  if (at === null) return { result: 'gone' };
  try {
    const ask = (question: readonly TreeNode[]): Promise<CompareReply> =>
      askLeader(link, { partition, at, question: [...question] });
    const counted = await countBoth(storage, file, () => ask([]));
    if (counted.kind !== 'answer') return { result: counted.kind };
    return await findDifferences(storage, file, at, counted.tables, async (question) => {
      for (;;) {
        const reply = await ask(question);
        // It has forgotten what it had counted: it slept.
        if (reply.kind !== 'counting') return reply;
        await pause();
      }
    });
  } finally {
    await storage.call(file, 'endComparison');
  }
}

/** Both sides at once, so that neither has to look far back in its log. */
async function countBoth(
  storage: Storage,
  file: string,
  askToCount: () => Promise<CompareReply>,
): Promise<Answer | { readonly kind: 'gone' | 'busy' }> {
  let own: 'counting' | 'counted' | 'gone' = 'counting';
  let theirs: CompareReply = { kind: 'counting' };
  for (;;) {
    if (theirs.kind === 'counting') theirs = await askToCount();
    if (theirs.kind === 'gone' || theirs.kind === 'busy') return theirs;
    if (own === 'counting') own = await storage.call(file, 'countRows');
    if (own === 'gone') return { kind: 'gone' };
    if (own === 'counted' && theirs.kind === 'answer') return theirs;
    await pause();
  }
}

async function findDifferences(
  storage: Storage,
  file: string,
  at: CommitId,
  theirTables: number,
  ask: (question: readonly TreeNode[]) => Promise<Exclude<CompareReply, { kind: 'counting' }>>,
): Promise<Comparing> {
  let comparison = await storage.call(file, 'compare', null);
  // The first question is about every table here, and a table that the leader does not have is a difference.
  const isShort = comparison !== null && comparison.tables < theirTables;
  while (comparison !== null && comparison.question.length > 0) {
    const { question } = comparison;
    const reply = await ask(question);
    if (reply.kind !== 'answer') return { result: reply.kind };
    if (reply.digests.length !== question.length) {
      throw new AtollError('bad-request', "'compare': an answer to each question", 'none');
    }
    comparison = await storage.call(file, 'compare', reply.digests);
  }
  if (comparison === null) return { result: 'gone' };
  const { differing } = comparison;
  if (differing.length === 0 && !isShort) return { result: 'equal', at };
  const tables = [...new Set(differing.map(({ table }) => table))];
  return { result: 'different', at, tables, ranges: differing.length };
}

async function askLeader(link: Link, request: Compare): Promise<CompareReply> {
  const { head } = await link.call(replicationMessage.compare, request);
  return readHead(CompareReply, replicationMessage.compare, head);
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, COUNTING_MS));
}
