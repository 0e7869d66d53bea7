import { present } from '../../base/assert.ts';
import type { ExecuteRequest } from '../../protocol/execute.ts';
import { encodeValue } from '../../protocol/json-value.ts';
import type { SessionToken } from '../../protocol/session.ts';
import type { StatementResult } from '../execution/run.ts';
import { replySession } from './last-commit.ts';
import type { DoneOutcome, ExecuteOutcome } from './outcome.ts';
import type { Replica } from './replica.ts';

/** What of a request its answer depends on, besides the results. */
export type Answered = Pick<ExecuteRequest, 'shape' | 'asOf'>;

/**
 * The public API's answer to `/v1/query` or `/v1/batch`, JSON text, up to its session token: see {@link withSession}. The
 * router passes it on as it is.
 */
export function encodeAnswer(
  { identity }: Replica,
  { shape, asOf }: Answered,
  results: readonly StatementResult[],
): string {
  const more = results.some((result) => result.more) ? '"more":true,' : '';
  const moment = `${more}${asOf === undefined ? '' : `"asOf":"${asOf}",`}`;
  const plan = `${moment}"plan":{"kind":"route","partition":${identity.partition}},`;
  if (shape === 'batch')
    return `{"results":[${results.map((result) => `{${encodeResult(result)}}`).join(',')}],${plan}`;
  return `{${encodeResult(present(results[0], 'a query is one statement'))},${plan}`;
}

/**
 * The whole answer, with the token of all that is committed here, and of the request's `former` one. It stands last, where a
 * router that merges finds it.
 */
export function withSession(replica: Replica, answer: string, former: SessionToken | null): string {
  return `${answer}"session":"${replica.seal.seal(tokenOf(replica, former))}"}`;
}

/** Writers of one group become durable together, and so one token says what each has seen: it is made, and sealed, once. */
export function finishAnswer<Outcome extends ExecuteOutcome>(
  replica: Replica,
  outcome: Outcome,
): Outcome | DoneOutcome {
  if (outcome.kind !== 'done' || outcome.former === undefined) return outcome;
  return { kind: 'done', body: withSession(replica, outcome.body, outcome.former) };
}

/** As {@link withSession}, for hosts alone: the token is not sealed. */
function withToken(replica: Replica, answer: string): string {
  return `${answer}"session":"${tokenOf(replica, null)}"}`;
}

/** The answer to a batch, JSON text, for a router that makes its own of it. */
export function encodeBatch(replica: Replica, results: readonly StatementResult[]): string {
  return withToken(replica, encodeAnswer(replica, { shape: 'batch' }, results));
}

function tokenOf(replica: Replica, former: SessionToken | null): string {
  const system = replica.isSystem ? replica.feedIndex : replica.systemIndex;
  return replySession(replica.identity, replica.last, system, former);
}

function encodeResult({ columns, rows, rowsAffected, lastInsertRowid }: StatementResult): string {
  const id = lastInsertRowid === null ? 'null' : encodeValue(lastInsertRowid);
  return `"columns":${JSON.stringify(columns)},"rows":${rows},"rowsAffected":${rowsAffected},"lastInsertRowid":${id}`;
}
