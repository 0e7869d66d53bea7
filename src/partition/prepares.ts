import type { PartitionId } from '../base/brand.ts';
import { COALESCING, type Coalescing, Lane } from '../gateway/lane.ts';
import { AtollError, errorOf } from '../protocol/error.ts';
import { ONE_LENGTH_MAX } from '../protocol/many.ts';
import type { PreparedMany, PrepareMany, PrepareRequest, Vote } from '../protocol/transaction.ts';

interface Waiting {
  readonly request: PrepareRequest;
  /** Unix milliseconds. */
  readonly deadline: number;
  /** Null: it is to be sent by itself. */
  readonly resolve: (vote: Vote | null) => void;
  readonly reject: (error: unknown) => void;
}

/** By how much the patience of those that go together may differ, ms (chosen). */
const PATIENCE_MS = 1_000;

export interface PreparesOptions {
  readonly call: <Answer>(
    partition: PartitionId,
    type: string,
    message: unknown,
    milliseconds: number,
  ) => Promise<Answer>;
  readonly pause: (milliseconds: number) => Promise<void>;
  readonly coalescing?: Coalescing | undefined;
}

/** Prepares on their way from anchors that are this partition: those for another one that is busy go together. */
export class Prepares {
  readonly #options: PreparesOptions;
  readonly #coalescing: Coalescing;
  readonly #lanes = new Map<PartitionId, Lane<Waiting>>();

  constructor(options: PreparesOptions) {
    this.#options = options;
    this.#coalescing = options.coalescing ?? COALESCING;
  }

  /** @throws AtollError that stands for the vote no */
  async ask(partition: PartitionId, request: PrepareRequest, deadline: number): Promise<Vote> {
    const lane = this.#lane(partition);
    if (lane.goesAlone(Date.now()) || !isSmall(request))
      return this.#alone(lane, partition, request, deadline);
    const vote = await new Promise<Vote | null>((resolve, reject) => {
      let go = (): void => undefined;
      const time = new Promise<void>((over) => {
        go = over;
      });
      if (lane.join({ request, deadline, resolve, reject }, Date.now(), go))
        void Promise.race([time, this.#options.pause(this.#coalescing.gatherMs)]).then(() =>
          this.#send(partition, lane),
        );
    });
    return vote ?? this.#alone(lane, partition, request, deadline);
  }

  #lane(partition: PartitionId): Lane<Waiting> {
    let lane = this.#lanes.get(partition);
    if (lane === undefined) {
      lane = new Lane(this.#coalescing);
      this.#lanes.set(partition, lane);
    }
    return lane;
  }

  #alone(
    lane: Lane<Waiting>,
    partition: PartitionId,
    request: PrepareRequest,
    deadline: number,
  ): Promise<Vote> {
    const patience = Math.max(1, deadline - Date.now());
    const type = request.part.groups === undefined ? 'prepare' : 'prepare-groups';
    return lane.track(this.#options.call<Vote>(partition, type, request, patience));
  }

  /** Never rejects: whoever waits is told. */
  async #send(partition: PartitionId, lane: Lane<Waiting>): Promise<void> {
    const gathered = lane.leave();
    // The call is as patient as the most patient of them: who is less so goes alone.
    const latest = Math.max(...gathered.map(({ deadline }) => deadline));
    const patient = gathered.filter(({ deadline }) => deadline >= latest - PATIENCE_MS);
    const all = patient.length > 1 ? patient : [];
    for (const each of gathered) if (!all.includes(each)) each.resolve(null);
    if (all.length === 0) return;
    const message: PrepareMany = { requests: all.map(({ request }) => request) };
    try {
      const patience = Math.max(1, latest - Date.now());
      const together = this.#options.call<PreparedMany>(partition, 'prepare-many', message, patience);
      const { answers } = await lane.track(together);
      for (const [index, { resolve, reject }] of all.entries()) {
        const answer = answers[index] ?? null;
        if (answer !== null && 'error' in answer) reject(errorOf(answer.error));
        else resolve(answer);
      }
    } catch (error) {
      const unknown = error instanceof AtollError && error.code === 'not-found';
      if (unknown) lane.unknown(Date.now());
      for (const { resolve, reject } of all) unknown ? resolve(null) : reject(error);
    }
  }
}

/** Whether neither it nor what is answered can be long: statements that write, and answer with no rows. */
function isSmall({ part, changes, references }: PrepareRequest): boolean {
  const { statements, script, chunk, fill, visitors, groups } = part;
  if ([references, script, chunk, fill, visitors, groups].some((more) => more !== undefined)) return false;
  let length = changes?.length ?? 0;
  for (const { sql, args } of statements) {
    if (!WRITES.test(sql) || RETURNING.test(sql)) return false;
    length += sql.length + (args === undefined ? 0 : JSON.stringify(args).length);
  }
  return length <= ONE_LENGTH_MAX;
}

const WRITES = /^\s*(?:insert|replace|update|delete)\b/i;
/** Wherever it is: what is taken for one goes alone, and is none the worse for it. */
const RETURNING = /\breturning\b/i;
