import type { PartitionId, TableId } from '../base/brand.ts';
import {
  buildsUnderWay,
  dropIndex,
  droppedError,
  enforceIndex,
  forgetBuild,
  type IndexBuild,
  nextPage,
  noteProgress,
} from '../core/replica/index-builds.ts';
import type { System } from '../core/replica/system.ts';
import { fanOut } from '../gateway/fan-out.ts';
import { AtollError } from '../protocol/error.ts';
import type { IndexFillReply, IndexFillRequest } from '../protocol/schema.ts';
import type { RingRange } from '../protocol/transaction.ts';
import type { Surroundings } from './surroundings.ts';

/** Partitions whose rows are gone through at a time (chosen: each keeps the others busy with entries). */
const PARALLEL_MAX = 4;
/** What a partition may take for one request, ms (chosen: it answers after a second, if nobody is in its way). */
const CALL_MS = 10_000;
/** Before it is tried again what did not go, ms (chosen: a partition may restart, a schema change be decided). */
const RETRY_MS = 500;
/** How often it is looked whether somebody is at it, ms (chosen; it also keeps an object in memory). */
const LOOK_MS = 5_000;

export interface IndexBuilderOptions {
  readonly system: System;
  readonly peers: Surroundings['peers'];
  readonly pause: Surroundings['pause'];
  /** Calls {@link IndexBuilder.start} by then. */
  readonly wantAlarm: (at: number) => void;
  /** Runs it when no schema change is being decided. */
  readonly inTurn: <T>(change: () => Promise<T>) => Promise<T>;
  readonly deliver: () => Promise<unknown>;
}

/** How a build has ended: null, the index is enforced. */
type End = AtollError | null;

/**
 * Builds indexes over partitions for rows that are there, one after another, in the system partition: has each partition go through
 * its rows, and keeps note of how far it is, so that whoever starts later goes on there.
 */
export class IndexBuilder {
  readonly #options: IndexBuilderOptions;
  #running: Promise<void> | null = null;
  readonly #waiting = new Map<TableId, ((end: End) => void)[]>();

  constructor(options: IndexBuilderOptions) {
    this.#options = options;
    // Whoever was at it is gone.
    if (buildsUnderWay(options.system).length > 0) options.wantAlarm(Date.now());
  }

  /** Goes on with what is to be built, and has an alarm look again: whoever is at it may be gone by then. */
  start(): void {
    const { system, wantAlarm } = this.#options;
    if (buildsUnderWay(system).length === 0) return;
    wantAlarm(Date.now() + LOOK_MS);
    this.#running ??= this.#run()
      // Outside of a build it only reads; the next alarm tries again.
      .catch((error: unknown) => console.error('which indexes are to be built cannot be read', error))
      .finally(() => {
        this.#running = null;
      });
  }

  /** How the build ends; `building`, when that is not known by then (Unix ms). */
  ended(index: TableId, until: number): Promise<End | 'building'> {
    const ended = new Promise<End>((resolve) => {
      this.#waiting.set(index, [...(this.#waiting.get(index) ?? []), resolve]);
    });
    const late = this.#options.pause(Math.max(0, until - Date.now())).then(() => 'building' as const);
    return Promise.race([ended, late]);
  }

  async #run(): Promise<void> {
    const { system, pause } = this.#options;
    for (;;) {
      const [build] = buildsUnderWay(system);
      if (build === undefined) return;
      try {
        await this.#build(build);
      } catch (error) {
        if (!(error instanceof AtollError)) {
          // The next alarm tries again.
          console.error(`the build of index ${build.index}: defect`, error);
          return;
        }
        console.warn(`the build of index ${build.index} waits: ${error.message}`);
        await pause(RETRY_MS);
      }
    }
  }

  async #build({ index }: IndexBuild): Promise<void> {
    const { system, inTurn, deliver } = this.#options;
    const partitions = system.partitionIds();
    let duplicate: AtollError | null = null;
    try {
      await fanOut(partitions, PARALLEL_MAX, (partition, signal) => this.#fill(index, partition, signal));
    } catch (error) {
      if (!(error instanceof AtollError) || error.code !== 'constraint') throw error;
      const message = `${error.message}: two rows have the same values; the index is taken back`;
      duplicate = new AtollError('constraint', message, 'none', error.detail ?? undefined);
    }
    const end = await inTurn(async (): Promise<End | undefined> => {
      const build = this.#find(index);
      if (build === undefined) return undefined;
      if (build.definition === null) {
        forgetBuild(system, build, Date.now());
        return droppedError();
      }
      if (duplicate !== null) dropIndex(system, build, duplicate.message, Date.now());
      else if (partitions.some((partition) => nextPage(build, partition) !== null)) return undefined;
      else enforceIndex(system, build, Date.now());
      await deliver();
      return duplicate;
    });
    if (end === undefined) return;
    for (const resolve of this.#waiting.get(index) ?? []) resolve(end);
    this.#waiting.delete(index);
  }

  /** Has the partition go through its rows, until all are done or the index is gone. */
  async #fill(index: TableId, partition: PartitionId, signal: AbortSignal): Promise<void> {
    const { system, peers } = this.#options;
    while (!signal.aborted) {
      const build = this.#find(index);
      const page = build === undefined || build.definition === null ? null : nextPage(build, partition);
      if (page === null) return;
      const { database, partitions, systemIndex, schemaVersion } = system.network();
      const ring = partitions
        .flatMap(({ id, epoch, ranges }) => ranges.map(({ start }): RingRange => [start, id, epoch]))
        .sort(([a], [b]) => a - b);
      const own = partitions.find(({ id }) => id === partition);
      if (own === undefined) throw new AtollError('stale', `there is no partition ${partition}`);
      const request: IndexFillRequest = {
        index,
        after: page.after,
        epoch: own.epoch,
        schema: schemaVersion,
        system: systemIndex,
        ring,
      };
      const reply = await peers.call<IndexFillReply>(database, partition, 'index-fill', request, CALL_MS);
      noteProgress(system, index, partition, page.after, reply, Date.now());
    }
  }

  #find(index: TableId): IndexBuild | undefined {
    return buildsUnderWay(this.#options.system).find((build) => build.index === index);
  }
}
