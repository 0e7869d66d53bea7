import { present } from '../base/assert.ts';
import type { PartitionId } from '../base/brand.ts';
import type { Tables } from '../core/plan/plan.ts';
import type { CertifyReply, CertifyRequest } from '../protocol/certify.ts';
import type { SessionToken } from '../protocol/session.ts';
import { fanOut } from './fan-out.ts';
import type { KnownNetwork } from './known-network.ts';
import { READ } from './lost.ts';
import type { Session } from './statements.ts';

/** Partitions asked at a time (chosen: as for reads). */
const PARALLEL_MAX = 32;

export interface Certification {
  readonly certified: boolean;
  /** If not: how far partitions must have followed the system partition so that a new attempt has a chance. */
  readonly system: number;
}

/**
 * The second round of a strong read over several partitions, to be begun when all have answered the first (DESIGN.md, "Read,
 * then certify"; a validation of the read set as in Kung, Robinson, "On Optimistic Methods for Concurrency Control", 1981).
 * Each partition is asked whether the tables are still as its answer has shown them. If all say so, then at the instant between
 * the rounds the whole database was as the answers show it: whatever each has read was committed before that
 * instant, and did not change until after it. No clock is asked.
 *
 * Copies of reference tables take a write one after another, but no partition certifies while it is frozen for one
 * (protocol/freeze.ts): the write is either nowhere yet, or in every copy that was read.
 *
 * @param seen what each answer of the first round has seen
 */
export async function certify(
  { database, context }: Session,
  known: KnownNetwork,
  { partitioned, reference }: Tables,
  seen: ReadonlyMap<PartitionId, SessionToken>,
): Promise<Certification> {
  const questions = [...seen].map(([partition, token]) => ({
    partition,
    since: present(
      token.seen.get(partition),
      () => `the answer of partition ${partition} names no commit of it`,
    ),
    tables: [...partitioned, ...reference],
  }));
  const systems = [...seen.values()].map(({ system }) => system);
  const replies = await fanOut(questions, PARALLEL_MAX, ({ partition, since, tables }, signal) => {
    const request: CertifyRequest = {
      epoch: known.epochOf(partition),
      schema: known.schema.version,
      since,
      tables,
    };
    return database.ask<CertifyReply>(partition, 'certify', request, { ...context, signal }, READ);
  });
  const certified = replies.every((reply) => reply.certified);
  database.metrics.certified(certified);
  return { certified, system: Math.max(...systems, ...replies.map(({ system }) => system)) };
}
