import type { PartitionId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { AtollError } from '../../protocol/error.ts';
import type { Database } from '../database.ts';
import { Lane } from '../import/lane.ts';
import { RowBuilder } from '../import/row-builder.ts';
import { sendChunk } from '../import/send-chunk.ts';
import { type ImportTarget, targetIn, UnknownColumnError } from '../import/target.ts';
import type { KnownNetwork } from '../known-network.ts';

/** Characters of rows that one restore holds (chosen: a Worker has 128 MB for all its requests). */
const HELD_CHARACTERS_MAX = 8 * 1024 * 1024;
/** Of one chunk (chosen: as a JSON text of up to 3 bytes a character it stays below SQLite's 2.2 MB). */
const CHUNK_CHARACTERS_MAX = 256 * 1024;
const CHUNK_CHARACTERS_MIN = 4 * 1024;

export interface Rows {
  readonly table: string;
  readonly columns: readonly string[] | null;
  readonly rows: readonly (readonly SqlValue[])[];
}

/** Rows that follow each other into one table, and name the same columns. */
interface Stretch {
  readonly key: string;
  readonly target: ImportTarget;
  readonly builder: RowBuilder;
  readonly lanes: Map<PartitionId, Lane>;
}

/** Sends a restore's rows to their partitions, in chunks, no faster than these are confirmed. */
export class Loader {
  readonly #database: Database;
  readonly #restore: string;
  readonly #trace: string;
  #stretch: Stretch | null = null;
  #failure: { readonly error: unknown } | null = null;
  readonly counts = new Map<PartitionId, number>();

  constructor(database: Database, restore: string, trace: string) {
    this.#database = database;
    this.#restore = restore;
    this.#trace = trace;
  }

  /** @throws AtollError for a row that is wrong, or for one before it that a partition has refused since */
  async add(known: KnownNetwork, { table, columns, rows }: Rows, line: number): Promise<void> {
    const stretch = await this.#stretchOf(known, table, columns);
    for (const values of rows) {
      const row = stretch.builder.buildExact(line, values);
      const lane = this.#laneOf(stretch, row.partition);
      if (lane.add(row)) await this.#send(stretch, lane);
    }
  }

  /** Resolves when all rows are in. Until then the schema must stay. */
  async flush(): Promise<void> {
    const stretch = this.#stretch;
    if (stretch !== null) {
      const lanes = [...stretch.lanes.values()];
      for (const lane of lanes) await this.#send(stretch, lane);
      await this.settled();
      for (const { partition, confirmed } of lanes) {
        this.counts.set(partition, (this.counts.get(partition) ?? 0) + confirmed.rows);
      }
      this.#stretch = null;
    }
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Resolves when nothing is on its way. */
  async settled(): Promise<void> {
    await Promise.all([...(this.#stretch?.lanes.values() ?? [])].map((lane) => lane.settled()));
  }

  async #stretchOf(known: KnownNetwork, table: string, columns: Rows['columns']): Promise<Stretch> {
    const key = JSON.stringify([table, columns]);
    if (this.#stretch?.key === key && this.#stretch.target.known === known) return this.#stretch;
    await this.flush();
    const target = targetIn(known, table, true);
    const names = columns ?? namesOf(target);
    this.#stretch = { key, target, builder: builderFor(target, names), lanes: new Map() };
    return this.#stretch;
  }

  #laneOf({ target, lanes }: Stretch, partition: PartitionId): Lane {
    let lane = lanes.get(partition);
    if (lane === undefined) {
      const share = HELD_CHARACTERS_MAX / (2 * Math.max(1, target.known.tokens.partitions().length));
      const most = Math.min(CHUNK_CHARACTERS_MAX, Math.max(CHUNK_CHARACTERS_MIN, Math.floor(share)));
      lane = new Lane(partition, partition === SYSTEM_PARTITION ? CHUNK_CHARACTERS_MAX : most);
      lanes.set(partition, lane);
    }
    return lane;
  }

  async #send({ target }: Stretch, lane: Lane): Promise<void> {
    if (this.#failure !== null) throw this.#failure.error;
    const route = {
      database: this.#database,
      partition: lane.partition,
      importId: null,
      trace: this.#trace,
      restore: this.#restore,
    };
    await lane.flush(
      target,
      (chunk) => sendChunk(route, chunk),
      (error) => {
        this.#failure ??= { error };
      },
    );
  }
}

/** What INSERT without names fills. */
function namesOf({ table }: ImportTarget): string[] {
  return table.columns.filter(({ generated }) => generated === 'no').map(({ name }) => name);
}

function builderFor(target: ImportTarget, names: readonly string[]): RowBuilder {
  try {
    return new RowBuilder(target, names, null);
  } catch (error) {
    if (!(error instanceof UnknownColumnError)) throw error;
    throw new AtollError('no-such-column', `${error.message} is no column of ${target.table.name}`);
  }
}
