import type { PartitionId } from '../../base/brand.ts';
import { AtollError, type Outcome, toAtollError } from '../../protocol/error.ts';
import type { RestoreState } from '../../protocol/restore.ts';
import { authorize } from '../auth/principal.ts';
import { inflate } from '../body.ts';
import { withoutByteOrderMark } from '../import/record.ts';
import { discard, piecesOf } from '../import/text-blocks.ts';
import type { Session } from '../statements.ts';
import { type DumpStatement, readDumpStatement } from './dump-statement.ts';
import { fillIndex } from './fill-index.ts';
import { mergeIds, needsIdCheck } from './identifiers.ts';
import { Loader } from './loader.ts';
import { RestoreCalls } from './restore-calls.ts';
import { type SourceStatement, StatementSplitter } from './statement-splitter.ts';

/** The system partition is told this often that the restore goes on, ms (chosen: a fifth of its patience). */
const ALIVE_MS = 4_000;

/** `POST /v1/restore`: docs/api.md, "Restore". */
export async function restoreDatabase(session: Session, request: Request): Promise<Response> {
  authorize(session.principal, session.database.name, 'admin');
  const restore = new Restore(session);
  let body: ReadableStream<Uint8Array> | null;
  try {
    body = inflate(request);
    await restore.begin();
  } catch (error) {
    if (request.body !== null && !request.body.locked) await discard(request.body.getReader());
    throw error;
  }
  const done = restore.run(body);
  // A client that hangs up must not keep the database from becoming empty again.
  session.context.background?.(
    done.then(
      () => undefined,
      () => undefined,
    ),
  );
  return Response.json(await done);
}

interface RestoreAnswer {
  readonly tables: number;
  readonly rows: number;
  readonly partitions: readonly { readonly partition: PartitionId; readonly rows: number }[];
}

class Restore {
  readonly #calls: RestoreCalls;
  readonly #loader: Loader;
  readonly #splitter = new StatementSplitter();
  /** Definitions that follow each other are one schema change. */
  #definitions: SourceStatement[] = [];
  /** Whether the dump has begun a transaction, and whether it has ended it: without its end it is not whole. */
  #begun = false;
  #committed = false;
  #lost: AtollError | null = null;
  #body: AsyncGenerator<Uint8Array> | null = null;

  constructor(session: Session) {
    this.#calls = new RestoreCalls(session, crypto.randomUUID());
    this.#loader = new Loader(session.database, this.#calls.id, session.context.trace);
  }

  async begin(): Promise<void> {
    try {
      await this.#calls.begin();
    } catch (error) {
      const shown = toAtollError(error);
      if (shown.outcome === 'none') throw shown;
      throw undone(shown, await this.#calls.undo());
    }
  }

  async run(body: ReadableStream<Uint8Array> | null): Promise<RestoreAnswer> {
    const alive = setInterval(() => void this.#sayAlive(), ALIVE_MS);
    try {
      await this.#load(body);
      await this.#finish();
      return this.#answer();
    } catch (error) {
      if (!(error instanceof AtollError)) console.error('restore: defect', error);
      await this.#loader.settled();
      const state = await this.#calls.undo();
      if (state === 'published') return this.#answer();
      clearInterval(alive);
      // Reads what the client still sends; only now, since others wait for the database until it is empty.
      await this.#body?.return(undefined);
      throw undone(toAtollError(error), state);
    } finally {
      clearInterval(alive);
    }
  }

  async #sayAlive(): Promise<void> {
    try {
      await this.#calls.alive();
    } catch (error) {
      // A message that is lost is made good by the next; a restore that is over is not.
      if (error instanceof AtollError && error.code === 'schema-conflict') this.#lost = error;
    }
  }

  async #load(body: ReadableStream<Uint8Array> | null): Promise<void> {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    this.#body = piecesOf(body);
    let isFirst = true;
    for (let piece = await this.#body.next(); !piece.done; piece = await this.#body.next()) {
      const bytes = piece.value;
      const text = this.#decode(() => decoder.decode(bytes, { stream: true }));
      this.#splitter.push(isFirst ? withoutByteOrderMark(text) : text);
      isFirst = false;
      await this.#takeStatements();
    }
    this.#splitter.push(this.#decode(() => decoder.decode()));
    this.#splitter.end();
    await this.#takeStatements();
    if (this.#begun && !this.#committed) {
      throw new AtollError('payload', 'the dump is not whole: it ends without its COMMIT');
    }
    await this.#define();
    await this.#loader.flush();
  }

  #decode(read: () => string): string {
    try {
      return read();
    } catch {
      throw new AtollError('payload', `behind line ${this.#splitter.line}: the dump is not valid UTF-8`);
    }
  }

  async #takeStatements(): Promise<void> {
    for (let source = this.#splitter.next(); source !== null; source = this.#splitter.next()) {
      if (this.#lost !== null) throw this.#lost;
      try {
        await this.#take(source, readDumpStatement(source.sql));
      } catch (error) {
        throw located(error, source);
      }
    }
  }

  async #take(source: SourceStatement, statement: DumpStatement): Promise<void> {
    if (this.#committed) throw new AtollError('payload', 'a statement follows the COMMIT of the dump');
    switch (statement.kind) {
      case 'begin':
        this.#begun = true;
        return;
      case 'commit':
        this.#committed = true;
        return;
      case 'definition':
        this.#definitions.push({ ...source, sql: statement.sql });
        return;
      case 'rows':
        await this.#define();
        await this.#loader.add(this.#calls.known, statement, source.line);
    }
  }

  async #define(): Promise<void> {
    const [first] = this.#definitions;
    if (first === undefined) return;
    await this.#loader.flush();
    try {
      await this.#calls.define(this.#definitions.map(({ sql }) => sql));
    } catch (error) {
      const last = this.#definitions.at(-1) ?? first;
      throw located(error, first, last.line === first.line ? '' : ` to ${last.line}`);
    }
    this.#definitions = [];
  }

  /** What only all rows together show; then they are everybody's. */
  async #finish(): Promise<void> {
    const { known } = this.#calls;
    const partitions = known.tokens.partitions();
    const marks = new Map<PartitionId, { table: string; largest: number }[]>();
    for (const table of known.schema.catalogue.tables.filter(needsIdCheck)) {
      const merged = await mergeIds(table, partitions, (...place) => this.#calls.ids(...place));
      for (const [partition, mark] of merged) marks.set(partition, [...(marks.get(partition) ?? []), mark]);
    }
    const { uniques = [], references = [] } = known.schema.catalogue;
    for (const { table } of [...uniques, ...references]) await fillIndex(table.id, known, this.#calls);
    await this.#calls.finish(marks);
    if (this.#lost !== null) throw this.#lost;
    await this.#calls.publish();
  }

  #answer(): RestoreAnswer {
    const partitions = [...this.#loader.counts]
      .map(([partition, rows]) => ({ partition, rows }))
      .sort((a, b) => a.partition - b.partition);
    const rows = partitions.reduce((sum, each) => sum + each.rows, 0);
    return { tables: this.#calls.known.schema.catalogue.tables.length, rows, partitions };
  }
}

/** The error, saying whether the database is surely empty again. */
function undone(error: AtollError, state: RestoreState | null): AtollError {
  const outcome: Outcome = state === null ? 'unknown' : 'none';
  const fate =
    state === null
      ? 'that the database is empty again was not confirmed: it will be, look at /v1/schema'
      : 'the database is empty again';
  return new AtollError(error.code, `${error.message}; ${fate}`, outcome, error.detail ?? undefined);
}

/** The error with its place in the dump. Of rows, a partition may have named an earlier line than the reader's. */
function located(error: unknown, { line, number }: SourceStatement, through = ''): unknown {
  if (!(error instanceof AtollError) || error.detail?.statement !== undefined) return error;
  if (error.detail?.line !== undefined) return error;
  const message = `line ${line}${through} (statement ${number}): ${error.message}`;
  return new AtollError(error.code, message, error.outcome, { ...error.detail, line, statement: number });
}
