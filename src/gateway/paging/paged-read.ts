import { present } from '../../base/assert.ts';
import type { Timestamp } from '../../base/brand.ts';
import { MergeError } from '../../core/plan/evaluate/error.ts';
import { windowOf } from '../../core/plan/merge/limit.ts';
import { pagingOf } from '../../core/plan/paging/paging.ts';
import { parseStatement } from '../../core/sql/parse.ts';
import { isVolatile } from '../../core/transaction/volatility.ts';
import { AtollError } from '../../protocol/error.ts';
import { encodeRow } from '../../protocol/json-value.ts';
import { AnswersHeld } from '../answers-held.ts';
import { readingPast } from '../as-of.ts';
import type { KnownNetwork } from '../known-network.ts';
import { neededRole, type Planned, PlanRefusal } from '../planned.ts';
import { sessionText } from '../reply-session.ts';
import { type ClientRequest, type PageDemand, readMoment } from '../request.ts';
import type { Session } from '../statements.ts';
import { checkCursor, encodeCursor } from './cursor.ts';
import { type FoundPage, orderedPage, unorderedPage } from './find-page.ts';
import { PageRound, type PageWork } from './page-round.ts';

/**
 * A page of a SELECT's answer, all pages being read as of one moment. What cannot be read in pages is answered whole by
 * `otherwise`, if that is possible.
 */
export async function readPage(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  planned: Planned,
  otherwise: () => Promise<Response>,
): Promise<Response> {
  if (neededRole(planned.plan) !== 'read') {
    throw new AtollError(
      'bad-request',
      'pageBytes is for reads: leave it out of what writes or changes the schema',
    );
  }
  const work = workOf(known, request, planned);
  if (typeof work === 'string') return otherwise().catch((error: unknown) => refuseWhole(error, work));
  // Nothing of it is paged: there are columns only.
  if (work.left === 0n) return otherwise();
  const held = new AnswersHeld();
  try {
    return await answer(session, known, request, work, held);
  } finally {
    held.release();
  }
}

/** A cursor is of this schema of this database, and a host of this cluster has made it. Error: PlanRefusal, AtollError. */
export function refuseForeignCursor(
  { information, seal, schema }: KnownNetwork,
  page: PageDemand | null,
): void {
  if (page === null || page.cursor === null) return;
  const { cursor } = page;
  checkCursor(cursor.text, seal);
  if (cursor.history !== information.history) {
    throw new PlanRefusal(
      'history-gone',
      'the cursor is of another database, or of another history of this one, which was recovered since: begin again with the statement',
    );
  }
  if (cursor.schema === schema.version) return;
  throw new PlanRefusal(
    'history-gone',
    'the schema was changed after the first page, and the schema of the past is not kept: begin again with the statement',
  );
}

function workOf(known: KnownNetwork, { page, demand }: ClientRequest, planned: Planned): PageWork | string {
  const { statement, args } = planned;
  const parsed = planned.asOf === null ? planned.parsed : parseStatement(statement.sql);
  const paging = pagingOf(parsed, statement.sql, known.schema);
  if (typeof paging === 'string') return paging;
  if (isVolatile(parsed.statement, args, [], known.schema))
    return 'it reads the clock or chance, which differ from page to page: pass the value as an argument';
  const { bytes, cursor } = present(page, 'a page is asked for');
  const work = {
    paging,
    statement,
    planned: [planned],
    args: args.slice(0, paging.parameters),
    bytes,
    demand,
    place: cursor?.place ?? null,
  };
  return { ...work, left: cursor === null ? rowsWanted(paging.limit, args) : cursor.left };
}

function rowsWanted(...[limit, args]: Parameters<typeof windowOf>): bigint | null {
  try {
    return windowOf(limit, args).count;
  } catch (error) {
    if (error instanceof MergeError) throw new AtollError('sql', error.message);
    throw error;
  }
}

function refuseWhole(error: unknown, why: string): never {
  if (!(error instanceof AtollError) || error.code !== 'result-too-large') throw error;
  throw new AtollError(
    'result-too-large',
    `${error.message}. It cannot be read in pages: ${why}`,
    error.outcome,
  );
}

async function answer(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  work: PageWork,
  held: AnswersHeld,
): Promise<Response> {
  const past = await ofMoment(session, known, request, work, held);
  const { demand } = past;
  const at = present(demand.past, 'pages are of a moment').at;
  const round = new PageRound(session, known, { ...work, demand }, held);
  const found = work.paging.terms > 0 ? await orderedPage(round) : await unorderedPage(round);
  const { statement, bytes } = work;
  const left = work.left === null ? null : work.left - BigInt(found.rows.length);
  const { history } = known.information;
  const { version } = known.schema;
  const place = left === 0n ? null : found.next;
  const cursor =
    place === null
      ? null
      : encodeCursor({ history, schema: version, statement, at, bytes, left, place }, known.seal);
  return reply(known, { ...work, demand }, round, found, cursor, at);
}

/**
 * The request with the moment of all pages. Of a first page it is one at which all is there that was confirmed before: what
 * the partitions that are read have as the statement waits for whatever is prepared there.
 */
async function ofMoment(
  session: Session,
  known: KnownNetwork,
  request: ClientRequest,
  work: PageWork,
  held: AnswersHeld,
): Promise<ClientRequest> {
  if (request.demand.past !== null) return request;
  const at = (await new PageRound(session, known, work, held).newest()) || readMoment('asOf', Date.now());
  const demand = { ...request.demand, past: { at: at as Timestamp, feed: 0 } };
  return readingPast(session, known, { ...request, demand }, work.planned);
}

function reply(
  known: KnownNetwork,
  { paging, demand }: PageWork,
  round: PageRound,
  { rows }: FoundPage,
  cursor: string | null,
  at: Timestamp,
): Response {
  const columns = round.columns.slice(0, paging.width);
  const body =
    `{"columns":${JSON.stringify(columns)},"rows":[${rows.map((row) => encodeRow(row.slice(0, paging.width))).join()}],` +
    `"rowsAffected":0,"lastInsertRowid":null,"consistency":"snapshot","asOf":"${at}","plan":${round.planText()},` +
    `${cursor === null ? '' : `"cursor":"${cursor}",`}"session":"${sessionText(known, demand, [...round.seen.values()])}"}`;
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}
