import * as v from 'valibot';
import type { Timestamp } from '../base/brand.ts';
import { MOMENT_FORMS, momentOf } from '../core/clock/moment.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { type IdempotencyKey, readIdempotencyKey } from '../protocol/idempotency-key.ts';
import { SESSIONS_LENGTH_MAX } from '../protocol/session.ts';
import { CONSISTENCIES, type ReadDemand, readSession } from './freshness.ts';
import { CURSOR_LENGTH_MAX, type Cursor, decodeCursor } from './paging/cursor.ts';

/** Statements in one batch (chosen: they run in one synchronous turn of the partition). */
export const BATCH_STATEMENTS_MAX = 1_000;
/** Longest wait that a caller may ask for, ms (chosen; Durable Object calls have no limit of their own). */
export const TIMEOUT_MS_MAX = 120_000;
export const TIMEOUT_MS_DEFAULT = 30_000;
/** Bytes of values that a page may be asked for (chosen: the larger bound is half of what a partition answers at all). */
export const PAGE_BYTES_MIN = 1_024;
export const PAGE_BYTES_MAX = 8 * 1024 * 1024;

const statementFields = {
  sql: v.string(),
  args: v.optional(v.union([v.array(v.unknown()), v.record(v.string(), v.unknown())])),
};

const common = {
  consistency: v.optional(v.picklist(CONSISTENCIES)),
  maxStalenessMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  session: v.optional(v.pipe(v.string(), v.maxLength(SESSIONS_LENGTH_MAX))),
  asOf: v.optional(v.unknown()),
  atomicity: v.optional(v.picklist(['all', 'partition'])),
  timeoutMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(TIMEOUT_MS_MAX))),
  idempotencyKey: v.optional(v.string()),
};

const paging = {
  pageBytes: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(PAGE_BYTES_MIN), v.maxValue(PAGE_BYTES_MAX)),
  ),
};

const Query = v.strictObject({ ...statementFields, ...common, ...paging });
/** What says how and what to read has been said. */
const NextPage = v.strictObject({
  cursor: v.pipe(v.string(), v.maxLength(CURSOR_LENGTH_MAX)),
  consistency: common.consistency,
  maxStalenessMs: common.maxStalenessMs,
  session: common.session,
  timeoutMs: common.timeoutMs,
  ...paging,
});
const Batch = v.strictObject({
  statements: v.pipe(
    v.array(v.strictObject(statementFields)),
    v.minLength(1),
    v.maxLength(BATCH_STATEMENTS_MAX),
  ),
  ...common,
});

export interface ClientRequest {
  readonly shape: 'query' | 'batch';
  readonly statements: readonly WireStatement[];
  readonly atomicity: 'all' | 'partition';
  readonly timeoutMs: number;
  readonly demand: ReadDemand;
  readonly idempotencyKey: IdempotencyKey | null;
  /** How much of the answer is wanted at once; null: all. */
  readonly page: PageDemand | null;
}

export interface PageDemand {
  readonly bytes: number;
  /** Null: from the first row on. */
  readonly cursor: SentCursor | null;
}

export interface SentCursor extends Cursor {
  /** As it came. */
  readonly text: string;
}

export function readQuery(body: unknown): ClientRequest {
  if (typeof body === 'object' && body !== null && Object.hasOwn(body, 'cursor')) return readNextPage(body);
  const { sql, args, pageBytes, ...rest } = parse(Query, body);
  const page = pageBytes === undefined ? null : { bytes: pageBytes, cursor: null };
  return { shape: 'query', statements: [{ sql, args }], ...options(rest), page };
}

/** The moment is the cursor's, whatever else is said of what to see. */
function readNextPage(body: object): ClientRequest {
  const { cursor: text, pageBytes, ...rest } = parse(NextPage, body);
  const cursor = { ...decodeCursor(text), text };
  const { demand, ...others } = options(rest);
  return {
    shape: 'query',
    statements: [cursor.statement],
    ...others,
    demand: { ...demand, past: { at: cursor.at, feed: 0 } },
    page: { bytes: pageBytes ?? cursor.bytes, cursor },
  };
}

export function readBatch(body: unknown): ClientRequest {
  const { statements, ...rest } = parse(Batch, body);
  return { shape: 'batch', statements, ...options(rest), page: null };
}

type Options = Omit<v.InferOutput<typeof Query>, 'sql' | 'args' | 'pageBytes'>;

function options(fields: Options): Omit<ClientRequest, 'shape' | 'statements' | 'page'> {
  const { atomicity = 'all', timeoutMs = TIMEOUT_MS_DEFAULT, idempotencyKey: key } = fields;
  const idempotencyKey = key === undefined ? null : readIdempotencyKey(key);
  return { atomicity, timeoutMs, demand: readDemand(fields), idempotencyKey };
}

function readDemand({ consistency = 'strong', maxStalenessMs, session, asOf }: Options): ReadDemand {
  const bounded = consistency === 'bounded';
  if (bounded && maxStalenessMs === undefined) {
    throw new AtollError(
      'bad-request',
      'consistency "bounded" needs maxStalenessMs: how old an answer may be',
    );
  }
  if (!bounded && maxStalenessMs !== undefined) {
    throw new AtollError(
      'bad-request',
      `maxStalenessMs goes with consistency "bounded", not "${consistency}": say so, or leave it out`,
    );
  }
  return {
    consistency,
    maxStalenessMs: maxStalenessMs ?? null,
    session: session === undefined ? null : readSession(session),
    past: asOf === undefined ? null : { at: readMoment('asOf', asOf), feed: 0 },
  };
}

/** Error: `bad-request`, which names the field or clause. */
export function readMoment(name: string, value: unknown): Timestamp {
  const moment = momentOf(value);
  if (moment !== null) return moment;
  throw new AtollError('bad-request', `${name} must be ${MOMENT_FORMS}, not ${shown(value)}`);
}

/** The body as the schema describes it. Error: `bad-request`, which names the field. */
export function parse<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AtollError('bad-request', 'the body must be a JSON object');
  }
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new AtollError('bad-request', messageOf(issue, v.getDotPath(issue) ?? 'the body'));
}

function messageOf(issue: v.BaseIssue<unknown>, path: string): string {
  if (issue.type === 'strict_object' && issue.expected === 'never') return `${path}: there is no such field`;
  if (issue.input === undefined) return `${path} is missing`;
  return `${path} must ${demandOf(issue)}, not ${shown(issue.input)}`;
}

/** What a field must be, by the kind of the schema that it fails; a schema's own words where it has some. */
function demandOf({ type, requirement, expected, message, input }: v.BaseIssue<unknown>): string {
  const unit = typeof input === 'string' ? 'characters' : 'entries';
  switch (type) {
    case 'string':
      return 'be a string';
    case 'number':
    case 'integer':
      return 'be a whole number';
    case 'array':
      return 'be an array';
    case 'strict_object':
      return 'be an object';
    case 'union':
      return 'be an array or an object';
    case 'picklist':
      return `be ${String(expected)
        .replace(/^\(|\)$/g, '')
        .replaceAll(' | ', ' or ')}`;
    case 'min_value':
      return `be at least ${requirement}`;
    case 'max_value':
      return `be at most ${requirement}`;
    case 'min_length':
      return `have at least ${requirement} ${unit}`;
    case 'max_length':
      return `have at most ${requirement} ${unit}`;
    default:
      return message;
  }
}

/** Longest value that a message repeats, characters (chosen). */
const SHOWN_MAX = 40;

/** The value as its sender wrote it; of what is long, what it is. */
export function shown(input: unknown): string {
  if (Array.isArray(input)) return `an array of ${input.length}`;
  if (typeof input === 'object' && input !== null) {
    // A number that parseJson would not blur.
    const [[tag, number] = [], ...more] = Object.entries(input);
    const isNumber = more.length === 0 && (tag === '$real' || tag === '$int') && typeof number === 'string';
    return isNumber && number.length <= SHOWN_MAX ? number : 'an object';
  }
  const text = JSON.stringify(input);
  return text.length <= SHOWN_MAX ? text : `a text of ${String(input).length} characters`;
}
