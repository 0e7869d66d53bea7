import * as v from 'valibot';
import type { PartitionId, Timestamp } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { parseTimestamp } from '../../core/clock/timestamp.ts';
import type { Table } from '../../core/schema/table.ts';
import { AtollError } from '../../protocol/error.ts';
import type { ExportedDefinition, ExportPageHead, ExportPageRequest } from '../../protocol/export.ts';
import type { StalePartition } from '../../protocol/network.ts';
import { authorize } from '../auth/principal.ts';
import { type CallContext, readError } from '../database.ts';
import { StaleNetworkError } from '../execute.ts';
import { fanOut } from '../fan-out.ts';
import type { KnownNetwork } from '../known-network.ts';
import { READ } from '../lost.ts';
import { parse } from '../request.ts';
import type { Session } from '../statements.ts';
import {
  closing,
  definitionsAfterRows,
  indexesBeforeRows,
  opening,
  outOfReach,
  type Standing,
  tableStatement,
  tablesInOrder,
} from './dump.ts';
import { REPLICA_HEADER } from './replica-header.ts';

/** How long a partition may take for one page, ms (chosen; a page takes some milliseconds). */
const PAGE_TIMEOUT_MS = 30_000;
/** Replicas asked at a time how far they are (chosen: they are on one host). */
const PARALLEL_MAX = 8;
/** How often the beginning is planned anew because the schema has changed (chosen). */
const PLANS_MAX = 5;

const Parameters = v.strictObject(
  { table: v.optional(v.string()), format: v.optional(v.string()) },
  'no such parameter',
);

/** `GET /v1/export`: docs/api.md, "Export". */
export async function exportDatabase(session: Session, request: Request): Promise<Response> {
  authorize(session.principal, session.database.name, 'read');
  const { table, format = 'sql' } = parse(Parameters, Object.fromEntries(new URL(request.url).searchParams));
  if (format !== 'sql') throw new AtollError('unsupported', `format ${format} is not there: leave it out`);
  const begun = await start(session, table ?? null);
  const text = dump(session, begun, table ?? null);
  return new Response(bytesOf(text), { headers: { 'content-type': 'application/sql; charset=utf-8' } });
}

interface Start {
  readonly known: KnownNetwork;
  readonly definitions: readonly ExportedDefinition[];
  /** Of the replicas that answer in their leaders' place. */
  readonly standings: readonly Standing[];
}

/** The present schema: what can be refused is refused before the first byte. */
async function start(session: Session, table: string | null): Promise<Start> {
  const { database, context } = session;
  for (let attempt = 1; ; attempt++) {
    const known = attempt === 1 ? await database.refresh(context) : await database.network(context);
    if (table !== null && known.schema.table(table) === undefined) {
      throw new AtollError('no-such-table', `no such table: ${table}`);
    }
    try {
      const { text, standing } = await callPage(session, known, SYSTEM_PARTITION, null, null);
      const definitions = JSON.parse(text) as ExportedDefinition[];
      return { known, definitions, standings: await standingsOf(session, known, standing) };
    } catch (error) {
      if (!(error instanceof StaleNetworkError)) throw error;
      if (attempt === PLANS_MAX)
        throw new AtollError('stale', 'the schema keeps changing; try again', 'none');
    }
  }
}

/** Where the system partition's leader is out of reach, the others are asked too, before the first byte: the dump says how old it is. */
async function standingsOf(
  session: Session,
  known: KnownNetwork,
  system: Standing | null,
): Promise<Standing[]> {
  if (system === null) return [];
  const others = await fanOut(known.information.partitions, PARALLEL_MAX, ({ id }) =>
    callPage(session, known, id, null, null),
  );
  return [system, ...others.flatMap(({ standing }) => standing ?? [])];
}

async function* dump(
  session: Session,
  { known, definitions: all, standings }: Start,
  only: string | null,
): AsyncGenerator<string> {
  const wanted = only === null ? null : known.schema.table(only);
  const tables = tablesInOrder(known.schema).filter((table) => wanted === null || table === wanted);
  const definitions = all.filter(({ table }) => wanted === null || known.schema.table(table) === wanted);
  yield opening(known.information, new Date(), standings);
  // All of them before the first row: tables may refer to each other, and a restore makes them in one step.
  for (const table of tables) {
    const over = known.schema.foreignKeysOf(table).filter((key) => !table.foreignKeys.includes(key));
    yield tableStatement(table, over, definitions);
  }
  const early = indexesBeforeRows(known.schema, definitions);
  yield early.map(({ sql }) => `${sql};\n`).join('');
  const told = new Set(standings.map(({ partition }) => partition));
  for (const table of tables) {
    const homes = table.placement.kind === 'reference' ? [SYSTEM_PARTITION] : known.tokens.partitions();
    for (const partition of homes) yield* rowsOf(session, known, table, partition, told);
  }
  yield definitionsAfterRows(definitions.filter((each) => !early.includes(each)));
  yield closing();
}

async function* rowsOf(
  session: Session,
  known: KnownNetwork,
  table: Table,
  partition: PartitionId,
  told: Set<PartitionId>,
): AsyncGenerator<string> {
  let after: string | null = null;
  do {
    const { text, standing }: Page = await callPage(session, known, partition, table.name, after);
    // Its leader was in reach when this began.
    if (standing !== null && !told.has(partition)) yield outOfReach([standing]);
    if (standing !== null) told.add(partition);
    const end = text.indexOf('\n');
    const head = JSON.parse(text.slice(0, end)) as ExportPageHead;
    if (head.rowCount > 0) yield text.slice(end + 1);
    after = head.next;
  } while (after !== null);
}

interface Page {
  readonly text: string;
  /** Null: the leader has answered. */
  readonly standing: Standing | null;
}

async function callPage(
  session: Session,
  known: KnownNetwork,
  partition: PartitionId,
  table: string | null,
  after: string | null,
): Promise<Page> {
  const { database } = session;
  const request: ExportPageRequest = {
    epoch: known.epochOf(partition),
    schema: known.schema.version,
    system: known.information.systemIndex,
    table,
    after,
  };
  const context: CallContext = { ...session.context, deadline: Date.now() + PAGE_TIMEOUT_MS };
  const body = JSON.stringify(request);
  const { response, text } = await database.deliver(
    partition,
    'export-page',
    body,
    context,
    READ,
    async (answer) => ({ response: answer, text: answer.ok ? await answer.text() : '' }),
  );
  if (response.ok) return { text, standing: standingOf(partition, response.headers.get(REPLICA_HEADER)) };
  if (response.status !== 421) throw await readError(response);
  const newer = (await response.json()) as StalePartition;
  if (database.learn(newer) === null) await database.refresh(context);
  throw new StaleNetworkError('the schema has changed during the export');
}

function standingOf(partition: PartitionId, header: string | null): Standing | null {
  if (header === null) return null;
  const [commit, timestamp = ''] = header.split(' ');
  return {
    partition,
    commit: Number(commit),
    time: parseTimestamp(timestamp as Timestamp)?.milliseconds ?? null,
  };
}

const encoder = new TextEncoder();

/**
 * A page is asked for when the client has taken the one before. An error ends the transfer before its end: the dump
 * then lacks its COMMIT.
 */
function bytesOf(text: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await text.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      } catch (error) {
        console.warn(`export broken off: ${String(error)}`);
        controller.error(error);
      }
    },
    cancel: () => text.return(undefined).then(() => undefined),
  });
}
