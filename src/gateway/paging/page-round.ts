import type { PartitionId, Timestamp } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { type Place, pageStatement } from '../../core/plan/paging/page-sql.ts';
import type { Paging } from '../../core/plan/paging/paging.ts';
import type { WireStatement } from '../../protocol/execute.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../../protocol/json-value.ts';
import type { SessionToken } from '../../protocol/session.ts';
import type { AnswersHeld } from '../answers-held.ts';
import { executeIn } from '../execute.ts';
import { fanOut } from '../fan-out.ts';
import type { ReadDemand } from '../freshness.ts';
import { homeOf } from '../home.ts';
import type { KnownNetwork } from '../known-network.ts';
import { lostAnswer, READ } from '../lost.ts';
import { type Planned, PlanRefusal, planClientStatement } from '../planned.ts';
import { sessionIn } from '../reply-session.ts';
import { scatterParts } from '../scatter-parts.ts';
import type { Session } from '../statements.ts';
import type { CursorPlace } from './cursor.ts';

/** Partitions asked at a time (chosen: as for other reads). */
export const PARALLEL_MAX = 32;
/** Rows that a partition may put in order for one page (chosen: it keeps as many while it looks for them). */
const ROWS_MAX = 10_000;

/** What one page is of. */
export interface PageWork {
  readonly paging: Paging;
  /** The client's statement, without AS OF. */
  readonly statement: WireStatement;
  readonly planned: readonly Planned[];
  /** The client's arguments, without those of LIMIT. */
  readonly args: readonly SqlValue[];
  readonly bytes: number;
  readonly demand: ReadDemand;
  /** Rows that LIMIT still allows. */
  readonly left: bigint | null;
  /** Where it begins. */
  readonly place: CursorPlace | null;
}

/** What a partition has from some place on: rows with their hidden columns, and whether there are more. */
export interface PartitionAnswer {
  readonly rows: readonly (readonly SqlValue[])[];
  readonly more: boolean;
  readonly bytes: number;
}

/** The questions that one page takes. */
export class PageRound {
  readonly work: PageWork;
  /** That may have rows, ascending: the second of what decides a row's place, behind ORDER BY and before keys. */
  readonly partitions: readonly PartitionId[];
  readonly seen = new Map<PartitionId, SessionToken>();
  columns: readonly string[] = [];
  readonly #session: Session;
  readonly #known: KnownNetwork;
  readonly #held: AnswersHeld;
  readonly #kind: 'route' | 'scatter';

  constructor(session: Session, known: KnownNetwork, work: PageWork, held: AnswersHeld) {
    this.work = work;
    this.#session = session;
    this.#known = known;
    this.#held = held;
    const { kind, partitions } = this.#addressed(null, 0);
    this.#kind = kind;
    this.partitions = partitions;
  }

  planText(): string {
    const asked = [...this.seen.keys()].sort((a, b) => a - b);
    return this.#kind === 'route'
      ? `{"kind":"route","partition":${this.partitions[0]}}`
      : `{"kind":"scatter","partitions":${JSON.stringify(asked)}}`;
  }

  /** Log time up to which the partitions have anything, when nothing is undecided of what is to be read; '' for nothing. */
  async newest(): Promise<Timestamp | ''> {
    const { statement } = this.#addressed(null, 0);
    const times = await fanOut(this.partitions, PARALLEL_MAX, async (partition, signal) => {
      const { session } = await this.#take(partition, statement, this.work.bytes, signal);
      return session.time;
    });
    return times.reduce((newest, time) => (time > newest ? time : newest), '' as Timestamp | '');
  }

  /** Up to about `bytes` of what the partition has from `place` on. */
  async ask(
    partition: PartitionId,
    place: Place | null,
    bytes: number,
    signal: AbortSignal,
  ): Promise<PartitionAnswer> {
    const { left } = this.work;
    const rowsMax = left !== null && left < BigInt(ROWS_MAX) ? Number(left) : ROWS_MAX;
    const { statement } = this.#addressed(place, rowsMax);
    const { text, session } = await this.#take(partition, statement, bytes, signal);
    this.seen.set(partition, session);
    const answer = parseJson(text) as { columns: string[]; rows: unknown[][]; more?: true };
    this.columns = answer.columns;
    this.#held.takeValues(answer.rows.length * (answer.columns.length + 1));
    return {
      rows: answer.rows.map((row) => decodeRow(row)),
      more: answer.more === true || answer.rows.length === rowsMax,
      bytes: text.length,
    };
  }

  async #take(partition: PartitionId, statement: WireStatement, bytes: number, signal: AbortSignal) {
    const { database, context } = this.#session;
    const work = {
      partition,
      shape: 'query',
      read: true,
      statements: [statement],
      pageBytes: bytes,
      demand: this.work.demand,
    } as const;
    const response = await executeIn(database, this.#known, work, { ...context, signal });
    const text = await this.#held.read(response).catch((error: unknown) => {
      throw lostAnswer(error, partition, READ);
    });
    return { text, session: sessionIn(text) };
  }

  /** Who is asked for rows from `place` on, and what. */
  #addressed(place: Place | null, rowsMax: number) {
    const { paging, args } = this.work;
    const { sql, args: more } = pageStatement(paging, place, rowsMax);
    const statement = { sql, args: parseJson(encodeRow([...args, ...more])) };
    const planned = planClientStatement(statement, this.#known);
    const { plan } = planned;
    if (plan.kind === 'scatter') return { kind: plan.kind, ...scatterParts(this.#known, planned, plan, 0) };
    if (plan.kind !== 'route') {
      const why = plan.kind === 'refused' ? plan.message : `it is planned as ${plan.kind}`;
      throw new PlanRefusal('unsupported', `it cannot be read in pages: ${why}; leave pageBytes out`);
    }
    const home = homeOf(this.#known, [planned], null);
    if (home === null)
      throw new PlanRefusal(
        'unsupported',
        'it cannot be read in pages: it reads keys of several partitions; leave pageBytes out',
      );
    return { kind: plan.kind, partitions: [home], statement };
  }
}
