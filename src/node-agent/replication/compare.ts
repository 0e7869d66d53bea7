import type { PartitionId } from '../../base/brand.ts';
import { QUESTION_MAX, type TokenRange } from '../../core/replication/merkle.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Link } from '../../rpc/link.ts';
import { readHead } from '../../rpc/read-head.ts';
import type { Storage } from '../storage/storage.ts';
import { COMPARE, CompareReply, type CompareRequest } from './compare-message.ts';

/** Between two calls of a leader that is still counting, ms (chosen: a step takes some; writes go first). */
const COUNTING_MS = 20;

/**
 * Compares the replica with its leader's as of its last commit now, while both go on. Gives the ranges of keys whose rows
 * differ; null when it could not be said: the schema changed meanwhile, or the log was purged.
 *
 * @throws AtollError of the link; StorageError
 */
export async function compareWithLeader(
  storage: Storage,
  file: string,
  partition: PartitionId,
  link: Link,
): Promise<readonly TokenRange[] | null> {
  const at = await storage.call(file, 'beginComparison');
  if (at === null) return null;
  for (;;) {
    const counted = await storage.call(file, 'countRows');
    if (counted === 'gone') return null;
    if (counted === 'counted') break;
  }
  let comparison = await storage.call(file, 'compare', null);
  while (comparison.question.length > 0) {
    const { question } = comparison;
    const digests = await ask(link, { partition, at, question: question.slice(0, QUESTION_MAX) });
    if (digests === null) return null;
    if (digests.length !== question.length) throw new AtollError('bad-request', 'an answer to each question');
    comparison = await storage.call(file, 'compare', digests);
  }
  return comparison.differing;
}

async function ask(link: Link, request: CompareRequest): Promise<readonly (string | null)[] | null> {
  for (;;) {
    const reply = readHead(CompareReply, COMPARE, (await link.call(COMPARE, request)).head);
    if (reply.kind === 'answer') return reply.digests;
    if (reply.kind === 'gone') return null;
    await new Promise((resolve) => setTimeout(resolve, COUNTING_MS));
  }
}
