import type { PartitionId } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { looseIdColumn } from '../../core/schema/loose-ids.ts';
import type { Table } from '../../core/schema/table.ts';
import { AtollError, type Outcome, toAtollError } from '../../protocol/error.ts';
import { authorize } from '../auth/principal.ts';
import { inflate } from '../body.ts';
import type { KnownNetwork } from '../known-network.ts';
import type { Session } from '../statements.ts';
import { CsvReader } from './csv-reader.ts';
import { chunkRows, givenRows, Lane } from './lane.ts';
import { NdjsonReader } from './ndjson-reader.ts';
import { type ImportOptions, readImportOptions } from './options.ts';
import { type RecordReader, type SourceRecord, withoutByteOrderMark } from './record.ts';
import { RowBuilder } from './row-builder.ts';
import { sendChunk } from './send-chunk.ts';
import { type ImportTarget, targetIn, UnknownColumnError } from './target.ts';
import { discard, textBlocks } from './text-blocks.ts';

/** Characters of rows that one request holds (chosen: a Worker has 128 MB for all its requests). */
const HELD_CHARACTERS_MAX = 8 * 1024 * 1024;
/** Of one chunk (chosen: as a JSON text of up to 3 bytes a character it stays below SQLite's 2.2 MB). */
const CHUNK_CHARACTERS_MAX = 256 * 1024;
const CHUNK_CHARACTERS_MIN = 4 * 1024;

/** `POST /v1/import/{table}`: docs/api.md, "Import". */
export async function importRows(session: Session, table: string, request: Request): Promise<Response> {
  authorize(session.principal, session.database.name, 'write');
  let running: Import;
  let body: ReadableStream<Uint8Array> | null;
  try {
    running = new Import(session, readImportOptions(request), await findTarget(session, table));
    body = inflate(request);
  } catch (error) {
    if (request.body !== null) await discard(request.body.getReader());
    throw error;
  }
  return Response.json(await running.run(body));
}

/** The table as this router knows it; another one may have created it since. */
async function findTarget({ database, context }: Session, table: string): Promise<ImportTarget> {
  const known = await database.network(context);
  if (known.schema.table(table) !== undefined) return targetIn(known, table);
  return targetIn(await database.refresh(context), table);
}

/** Indexes over partitions in which each of its rows has an entry. */
function indexesOf({ schema }: KnownNetwork, table: Table): number {
  return schema.uniquesOf(table).length + schema.referencesOf(table).length;
}

interface PartitionCounts {
  readonly partition: PartitionId;
  readonly rows: number;
  readonly skipped: number;
}

interface ImportAnswer {
  readonly rows: number;
  readonly skipped: number;
  readonly partitions: readonly PartitionCounts[];
}

class Import {
  readonly #session: Session;
  readonly #options: ImportOptions;
  readonly #lanes = new Map<PartitionId, Lane>();
  readonly #reader: RecordReader;
  /** Names of the values; null: rows name them, or the header has not been read. */
  #columns: readonly string[] | null;
  #target: ImportTarget;
  #builder: RowBuilder | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(session: Session, options: ImportOptions, target: ImportTarget) {
    const { format, columns, firstLine } = options;
    this.#session = session;
    this.#options = options;
    this.#target = target;
    this.#columns = columns;
    this.#reader =
      format === 'csv' ? new CsvReader(firstLine, columns === null) : new NdjsonReader(firstLine);
  }

  async run(body: ReadableStream<Uint8Array> | null): Promise<ImportAnswer> {
    try {
      await this.#read(body);
      for (const lane of this.#lanes.values()) await this.#flush(lane);
    } catch (error) {
      this.#failure ??= { error: this.#atLine(error) };
    }
    await Promise.all([...this.#lanes.values()].map((lane) => lane.settled()));
    if (this.#failure !== null) throw this.#failed(this.#failure.error);
    return this.#counts();
  }

  async #read(body: ReadableStream<Uint8Array> | null): Promise<void> {
    let isFirst = true;
    for await (const text of textBlocks(body)) {
      this.#reader.push(isFirst ? withoutByteOrderMark(text) : text);
      isFirst = false;
      await this.#takeRecords();
      if (this.#failure !== null) return;
    }
    this.#reader.end();
    await this.#takeRecords();
  }

  /** Waits where a partition has not confirmed its last chunk: so the body is read no faster than rows go in. */
  async #takeRecords(): Promise<void> {
    for (let record = this.#reader.next(); record !== null; record = this.#reader.next()) {
      if (this.#failure !== null) return;
      if (record.kind === 'fields' && this.#columns === null) {
        this.#columns = record.fields.map((name) => name.trim());
        continue;
      }
      const full = this.#add(record) ?? (await this.#addAfterRefresh(record));
      if (full !== 'not yet') await this.#flush(full);
    }
  }

  /** The lane that the record has filled; null: it names a column that this router does not know. */
  #add(record: SourceRecord): Lane | 'not yet' | null {
    try {
      this.#builder ??= new RowBuilder(this.#target, this.#columns, this.#options.nullText);
      const row = this.#builder.build(record);
      const lane = this.#laneOf(row.partition);
      return lane.add(row) ? lane : 'not yet';
    } catch (error) {
      if (error instanceof UnknownColumnError) return null;
      throw atLine(error, record.line);
    }
  }

  /** Another router may have added the column. */
  async #addAfterRefresh(record: SourceRecord): Promise<Lane | 'not yet'> {
    const { database, context } = this.#session;
    const { known, table } = this.#target;
    // Rows made ready so far belong to the schema as it was known.
    for (const lane of this.#lanes.values()) await this.#flush(lane);
    const newer: KnownNetwork = await database.refresh({ ...context, deadline: Date.now() + 30_000 });
    if (newer !== known) {
      this.#target = targetIn(newer, table.name);
      this.#builder = null;
      const full = this.#add(record);
      if (full !== null) return full;
    }
    const names = record.kind === 'json' && this.#columns === null ? 'the row' : 'the header';
    const missing = this.#unknownColumn(record);
    throw atLine(
      new AtollError('no-such-column', `${names} names ${missing}, which is no column of ${table.name}`),
      record.line,
    );
  }

  #unknownColumn(record: SourceRecord): string {
    const given = this.#columns ?? (record.kind === 'json' ? Object.keys(JSON.parse(record.text)) : []);
    return (
      given.find((name) => {
        try {
          return this.#target.slotOf(name) < 0;
        } catch {
          return true;
        }
      }) ?? ''
    );
  }

  #laneOf(partition: PartitionId): Lane {
    let lane = this.#lanes.get(partition);
    if (lane === undefined) {
      const { known, table } = this.#target;
      const { length } = known.tokens.partitions();
      const share = HELD_CHARACTERS_MAX / (2 * Math.max(1, length));
      const most = Math.min(CHUNK_CHARACTERS_MAX, Math.max(CHUNK_CHARACTERS_MIN, Math.floor(share)));
      const characters = partition === SYSTEM_PARTITION ? CHUNK_CHARACTERS_MAX : most;
      const indexes = indexesOf(known, table);
      const given = looseIdColumn(table) === null ? chunkRows(indexes) : givenRows(indexes);
      lane = new Lane(partition, characters, chunkRows(indexes), given);
      this.#lanes.set(partition, lane);
    }
    return lane;
  }

  async #flush(lane: Lane): Promise<void> {
    if (this.#failure !== null) return;
    const { database, context } = this.#session;
    const route = {
      database,
      partition: lane.partition,
      importId: this.#options.importId,
      trace: context.trace,
    };
    await lane.flush(
      this.#target,
      (chunk) => sendChunk(route, chunk),
      (error) => {
        this.#failure ??= { error };
      },
    );
  }

  #counts(): ImportAnswer {
    const partitions = [...this.#lanes.values()]
      .map(({ partition, confirmed }) => ({ partition, ...confirmed }))
      .sort((a, b) => a.partition - b.partition);
    const sum = (field: 'rows' | 'skipped') => partitions.reduce((total, each) => total + each[field], 0);
    return { rows: sum('rows'), skipped: sum('skipped'), partitions };
  }

  /** What the body itself does wrong is found where the reader stands. */
  #atLine(error: unknown): unknown {
    return error instanceof AtollError ? atLine(error, this.#reader.line) : error;
  }

  /** The error with what was confirmed before: `through` is the last line up to which everything is in. */
  #failed(error: unknown): AtollError {
    if (!(error instanceof AtollError)) console.error('import: defect', error);
    const shown = toAtollError(error);
    const counts = this.#counts();
    const unconfirmed = [...this.#lanes.values()].flatMap(({ unconfirmedFrom }) => unconfirmedFrom ?? []);
    const line = shown.detail?.line;
    const first = Math.min(this.#reader.line, ...unconfirmed, ...(typeof line === 'number' ? [line] : []));
    const certain: Outcome = counts.rows > 0 ? 'partial' : 'none';
    const outcome = shown.outcome === 'unknown' ? 'unknown' : certain;
    return new AtollError(shown.code, shown.message, outcome, {
      ...shown.detail,
      ...counts,
      through: first - 1,
    });
  }
}

/** The error, naming the line unless it does so already. */
function atLine(error: unknown, line: number): unknown {
  if (!(error instanceof AtollError) || error.detail?.line !== undefined) return error;
  return new AtollError(error.code, `line ${line}: ${error.message}`, error.outcome, {
    ...error.detail,
    line,
  });
}
