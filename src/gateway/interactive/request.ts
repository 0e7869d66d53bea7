import * as v from 'valibot';
import { AtollError } from '../../protocol/error.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import { SESSIONS_LENGTH_MAX } from '../../protocol/session.ts';
import { CONSISTENCIES, type ReadDemand, readSession, STRONG } from '../freshness.ts';
import { parse, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX } from '../request.ts';

const common = {
  seq: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
  session: v.optional(v.pipe(v.string(), v.maxLength(SESSIONS_LENGTH_MAX))),
  timeoutMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(TIMEOUT_MS_MAX))),
};

const Begin = v.strictObject({ timeoutMs: common.timeoutMs });
const End = v.strictObject(common);
const Query = v.strictObject({
  ...common,
  sql: v.string(),
  args: v.optional(v.union([v.array(v.unknown()), v.record(v.string(), v.unknown())])),
  // Those of /v1/query that have no meaning here are refused with what to do.
  consistency: v.optional(v.picklist(CONSISTENCIES)),
  maxStalenessMs: v.optional(v.unknown()),
  atomicity: v.optional(v.unknown()),
  asOf: v.optional(v.unknown()),
  idempotencyKey: v.optional(v.unknown()),
});

export interface EndRequest {
  readonly timeoutMs: number;
  /** The client's number of the statement, or of the commit. */
  readonly seq: number | undefined;
  readonly demand: ReadDemand;
}

export interface StatementRequest extends EndRequest {
  readonly statement: WireStatement;
}

export function readBegin(body: unknown): Pick<EndRequest, 'timeoutMs'> {
  return { timeoutMs: parse(Begin, body).timeoutMs ?? TIMEOUT_MS_DEFAULT };
}

export function readEnd(body: unknown): EndRequest {
  return options(parse(End, body));
}

export function readStatement(body: unknown): StatementRequest {
  const { sql, args, ...rest } = parse(Query, body);
  refuse(rest);
  return { statement: { sql, args }, ...options(rest) };
}

function options({ timeoutMs = TIMEOUT_MS_DEFAULT, seq, session }: v.InferOutput<typeof End>): EndRequest {
  const demand = session === undefined ? STRONG : { ...STRONG, session: readSession(session) };
  return { timeoutMs, seq, demand };
}

function refuse(fields: Omit<v.InferOutput<typeof Query>, 'sql' | 'args'>): void {
  const { consistency, maxStalenessMs, atomicity, asOf, idempotencyKey } = fields;
  if ((consistency ?? 'strong') !== 'strong' || maxStalenessMs !== undefined || asOf !== undefined) {
    throw new AtollError(
      'bad-request',
      'in a transaction every read is strong: leave consistency, maxStalenessMs and asOf out',
    );
  }
  if (atomicity !== undefined)
    throw new AtollError('bad-request', 'a transaction is atomic as a whole: leave atomicity out');
  if (idempotencyKey !== undefined) {
    throw new AtollError(
      'bad-request',
      'number the statements of a transaction with seq, so that they can be repeated: leave idempotencyKey out',
    );
  }
}
