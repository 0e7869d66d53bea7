import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import type { Replica } from '../core/replica/replica.ts';
import { enterRestored, restoredEntries } from '../core/replica/restored-entries.ts';
import { finishRestore, restoredIds } from '../core/replica/restored-ids.ts';
import { decodeImportChunk } from '../protocol/import.ts';
import type {
  RestoreChunkHead,
  RestoreEnterRequest,
  RestoreEntriesRequest,
  RestoreFinishRequest,
  RestoreIdsRequest,
} from '../protocol/restore.ts';
import type { ForeignKeys } from './foreign-keys.ts';

export interface RestoreDeskOptions {
  readonly replica: () => Replica;
  readonly foreignKeys: ForeignKeys;
  /** Repeats what waits, and makes the response; see PartitionServer. */
  readonly answer: (
    incoming: Request,
    writes: boolean,
    attempt: () => Promise<ExecuteOutcome>,
  ) => Promise<Response>;
  /** Rows have come in. */
  readonly inserted: () => void;
}

/** A partition's share in a restore: rows of a dump, their ids, and the last step. */
export class RestoreDesk {
  readonly #options: RestoreDeskOptions;

  constructor(options: RestoreDeskOptions) {
    this.#options = options;
  }

  /**
   * A chunk of rows. Foreign keys are looked at when all rows are in: a row's parent may come after it. Not so in
   * the system partition, whose entries the others apply one by one, with their keys on.
   */
  async chunk(incoming: Request): Promise<Response> {
    const { head, rows } = decodeImportChunk(await incoming.text()) as {
      head: RestoreChunkHead;
      rows: string[];
    };
    const { replica, foreignKeys, answer, inserted } = this.#options;
    const { schema, isSystem } = replica();
    const refers = (schema.table(head.table)?.foreignKeys.length ?? 0) > 0;
    const insert = async (): Promise<ExecuteOutcome> => {
      const outcome = replica().importChunk(head, rows, Date.now());
      inserted();
      return outcome;
    };
    return answer(incoming, true, () => (refers && !isSystem ? foreignKeys.without(insert) : insert()));
  }

  async ids(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as RestoreIdsRequest;
    const { replica, answer } = this.#options;
    return answer(incoming, false, async () => restoredIds(replica(), request));
  }

  async entries(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as RestoreEntriesRequest;
    const { replica, answer } = this.#options;
    return answer(incoming, false, async () => restoredEntries(replica(), request));
  }

  async enter(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as RestoreEnterRequest;
    const { replica, answer, inserted } = this.#options;
    return answer(incoming, false, async () => {
      const outcome = enterRestored(replica(), request, Date.now());
      inserted();
      return outcome;
    });
  }

  async finish(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as RestoreFinishRequest;
    const { replica, answer } = this.#options;
    return answer(incoming, false, async () => finishRestore(replica(), request, Date.now()));
  }
}
