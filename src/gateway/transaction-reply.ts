import type { PartitionId } from '../base/brand.ts';
import { mergeAnswers } from '../core/plan/merge/merge.ts';
import { AtollError } from '../protocol/error.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../protocol/json-value.ts';
import type { TransactReply } from '../protocol/transaction.ts';
import { consistencyText } from './as-of.ts';
import type { GroupPart } from './group-parts.ts';
import type { KnownNetwork } from './known-network.ts';
import { mergeFailure } from './merge-failure.ts';
import { combineResults, type PartResult, placesOf } from './parts.ts';
import type { Planned } from './planned.ts';
import { sessionIn, sessionText } from './reply-session.ts';
import type { ClientRequest } from './request.ts';

interface Together {
  /** `at-commit`: strong, if the transaction that the answer is of commits. */
  readonly consistency: 'strong' | 'at-commit';
}

/** The answer to a client, from those of its partitions to their parts. */
export function transactionReply(
  known: KnownNetwork,
  { shape, demand, consistency }: Pick<ClientRequest, 'shape' | 'demand'> & Together,
  planned: readonly Planned[],
  work: readonly (readonly [PartitionId, readonly Pick<GroupPart, 'index' | 'places'>[]])[],
  replies: TransactReply['replies'],
): Response {
  // The first of each partition: later waves have no results.
  const byPartition = new Map(replies.toReversed().map((each) => [each.partition, each.reply]));
  refuseOther(work, byPartition);
  const answers = work.map(([partition, parts]) => {
    // Not `JSON.parse`, for which 1.0 is 1.
    const { results } = parseJson(byPartition.get(partition) ?? '') as { results: PartResult[] };
    if (results.length !== parts.length) throw elsewhere();
    return results;
  });
  const results = planned.map((each, index) => {
    const own = work.flatMap(([partition, parts], at) =>
      parts.flatMap((part, place) =>
        part.index === index ? [[partition, answers[at]?.[place] as PartResult, part] as const] : [],
      ),
    );
    const results = own.map(([partition, result]) => [partition, result] as const);
    if (each.plan.kind === 'scatter') return merged(each, results);
    if (each.plan.kind !== 'gathered-insert') return combineResults(results, [], placesOf(known, each));
    const places = new Map(own.map(([partition, , part]) => [partition, part.places ?? []]));
    return combineResults(results, each.plan.returning, places);
  });
  const body =
    shape === 'query' ? results.join() : `"results":[${results.map((each) => `{${each}}`).join()}]`;
  const partitions = JSON.stringify(work.map(([partition]) => partition));
  const token = sessionText(
    known,
    demand,
    replies.map((each) => sessionIn(each.reply)),
  );
  const kind = demand.past === null ? 'transaction' : 'scatter';
  return new Response(
    `{${body},${consistencyText(demand, consistency)},"plan":{"kind":"${kind}","partitions":${partitions}},"session":"${token}"}`,
    { headers: { 'content-type': 'application/json' } },
  );
}

/** A repeat under a key is answered with what was recorded: that must be of the same partitions as now. */
function refuseOther(
  work: readonly (readonly [PartitionId, unknown])[],
  byPartition: ReadonlyMap<PartitionId, string>,
): void {
  const working = new Set(work.map(([partition]) => partition));
  const isMissing = work.some(([partition]) => !byPartition.has(partition));
  const isMore = [...byPartition].some(
    ([partition, text]) => !working.has(partition) && !text.startsWith(NO_RESULTS),
  );
  if (isMissing || isMore) throw elsewhere();
}

/** Of a part without statements. */
const NO_RESULTS = '{"results":[]';

function elsewhere(): AtollError {
  return new AtollError(
    'idempotency-conflict',
    'the request was applied under this key, while its tables were partitioned in another way, or had other triggers: its answer cannot be put together again',
    'unknown',
    { committed: true },
  );
}

function merged({ plan, args }: Planned, own: readonly (readonly [PartitionId, PartResult])[]): string {
  if (plan.kind !== 'scatter') return '';
  try {
    const answers = own.map(([, { columns, rows }]) => ({
      columns,
      rows: rows.map((row) => decodeRow(row)),
    }));
    const { columns, rows } = mergeAnswers(plan.merge, answers, args);
    const text = rows.map((row) => encodeRow(row)).join();
    return `"columns":${JSON.stringify(columns)},"rows":[${text}],"rowsAffected":0,"lastInsertRowid":null`;
  } catch (error) {
    throw mergeFailure(error);
  }
}
