import type { PartitionId, TableId } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { AtollError } from '../../protocol/error.ts';
import type { StalePartition } from '../../protocol/network.ts';
import type {
  RestoreEntriesReply,
  RestoreIdsReply,
  RestoreMark,
  RestoreReply,
  RestoreState,
} from '../../protocol/restore.ts';
import type { SchemaChangeReply } from '../../protocol/schema.ts';
import { type CallContext, readError } from '../database.ts';
import { fanOut } from '../fan-out.ts';
import type { KnownNetwork } from '../known-network.ts';
import type { Session } from '../statements.ts';

/** How long a step may take, ms (chosen: an index over all rows of a partition takes seconds). */
const STEP_TIMEOUT_MS = 120_000;
/** Chosen: a page of ids, and a partition that has just restarted. */
const PAGE_TIMEOUT_MS = 30_000;
/** Tries to hear how a restore has ended, and the pause between them (chosen: an object is back within a second). */
const END_ATTEMPTS = 5;
const END_PAUSE_MS = 500;
/** Of a page of ids, or of the last check, whose answer was lost. */
const ASK_ATTEMPTS = 3;
const PARALLEL_MAX = 32;

/** The messages of one restore. */
export class RestoreCalls {
  readonly #session: Session;
  readonly id: string;
  #known: KnownNetwork | null = null;

  constructor(session: Session, id: string) {
    this.#session = session;
    this.id = id;
  }

  /** The network as the restore's last schema change has left it. */
  get known(): KnownNetwork {
    if (this.#known === null) throw new Error('the restore has not begun');
    return this.#known;
  }

  async begin(): Promise<void> {
    await this.#tell<RestoreReply>('restore-begin', { id: this.id });
    await this.#refresh();
  }

  /** @throws AtollError `schema-conflict` when the system partition has given the restore up */
  async alive(): Promise<void> {
    const { state } = await this.#tell<RestoreReply>('restore-alive', { id: this.id });
    if (state !== 'restoring') throw new AtollError('schema-conflict', 'the restore was given up');
  }

  async define(statements: readonly string[]): Promise<void> {
    await this.#tell<SchemaChangeReply>('restore-schema', { id: this.id, statements });
    await this.#refresh();
  }

  async ids(partition: PartitionId, table: string, after: string | null): Promise<RestoreIdsReply> {
    return this.#ask(partition, 'restore-ids', { table, after }, PAGE_TIMEOUT_MS);
  }

  /** In every partition, the system partition included: it has the reference tables. */
  /** What an index over partitions has to have for rows of a partition. */
  entries(partition: PartitionId, index: TableId, after: string | null): Promise<RestoreEntriesReply> {
    return this.#ask(partition, 'restore-entries', { index, after }, PAGE_TIMEOUT_MS);
  }

  async enter(partition: PartitionId, changes: string): Promise<void> {
    await this.#ask(partition, 'restore-enter', { changes }, PAGE_TIMEOUT_MS);
  }

  async finish(marks: ReadonlyMap<PartitionId, readonly RestoreMark[]>): Promise<void> {
    const partitions = [SYSTEM_PARTITION, ...this.known.tokens.partitions()];
    await fanOut(partitions, PARALLEL_MAX, (partition) =>
      this.#ask(partition, 'restore-finish', { marks: marks.get(partition) ?? [] }, STEP_TIMEOUT_MS),
    );
  }

  async publish(): Promise<void> {
    const state = await this.#end(true);
    if (state === 'published') return this.#refresh();
    throw new AtollError(
      'schema-conflict',
      'the restore was given up: this router was not heard of for too long',
    );
  }

  /** How it has ended: `published` when only the answer to that was lost. Null: nobody can say. */
  async undo(): Promise<RestoreState | null> {
    try {
      const state = await this.#end(false);
      await this.#refresh().catch(() => undefined);
      return state;
    } catch {
      return null;
    }
  }

  /** A lost answer is asked for again: how a restore has ended is never changed. */
  async #end(publish: boolean): Promise<RestoreState> {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await this.#tell<RestoreReply>('restore-end', { id: this.id, publish })).state;
      } catch (error) {
        if (attempt === END_ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, END_PAUSE_MS));
      }
    }
  }

  async #tell<Answer>(type: string, message: unknown): Promise<Answer> {
    try {
      return await this.#session.database.ask(
        SYSTEM_PARTITION,
        type,
        message,
        this.#context(STEP_TIMEOUT_MS),
      );
    } catch (error) {
      throw reached(error, SYSTEM_PARTITION);
    }
  }

  async #refresh(): Promise<void> {
    this.#known = await this.#session.database.refresh(this.#context(PAGE_TIMEOUT_MS));
  }

  #context(milliseconds: number): CallContext {
    return { ...this.#session.context, deadline: Date.now() + milliseconds };
  }

  async #ask<Answer>(
    partition: PartitionId,
    type: string,
    fields: object,
    milliseconds: number,
  ): Promise<Answer> {
    const { known, id } = this;
    const request = {
      epoch: known.epochOf(partition),
      schema: known.schema.version,
      system: known.information.systemIndex,
      restore: id,
      ...fields,
    };
    const body = JSON.stringify(request);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#askOnce(partition, type, body, milliseconds);
      } catch (error) {
        // Asking twice does no harm.
        if (error instanceof AtollError || attempt === ASK_ATTEMPTS) throw reached(error, partition);
        await new Promise((resolve) => setTimeout(resolve, END_PAUSE_MS));
      }
    }
  }

  async #askOnce<Answer>(
    partition: PartitionId,
    type: string,
    body: string,
    milliseconds: number,
  ): Promise<Answer> {
    const response = await this.#session.database.call(partition, type, body, this.#context(milliseconds));
    if (response.ok) return (await response.json()) as Answer;
    if (response.status !== 421) throw await readError(response);
    this.#session.database.learn((await response.json()) as StalePartition);
    throw new AtollError('schema-conflict', 'the restore was given up', 'none');
  }
}

function reached(error: unknown, partition: PartitionId): AtollError {
  if (error instanceof AtollError) return error;
  return new AtollError(
    'unavailable',
    `partition ${partition} cannot be reached: ${String(error)}`,
    'unknown',
  );
}
