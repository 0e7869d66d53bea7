import type { Random } from '../harness/random.ts';
import { query } from './api.ts';
import type { Cable, LinkState } from './cable.ts';
import type { Ledger } from './ledger.ts';
import type { AgentProcess, EdgeProcess } from './processes.ts';
import type { Tally } from './session.ts';

/** One agent with the cable to its edge. */
export interface Station {
  readonly agent: AgentProcess;
  readonly cable: Cable;
}

export interface FaultOptions {
  readonly random: Random;
  readonly edge: EdgeProcess;
  readonly stations: readonly Station[];
  readonly ledger: Ledger;
  readonly tally: Tally;
  readonly until: number;
  readonly log: (line: string) => void;
}

export interface FaultCounts {
  agentKills: number;
  agentStops: number;
  workerdKills: number;
  cuts: number;
  freezes: number;
  wipes: number;
  schemaChanges: number;
  referenceWrites: number;
}

/** Most time between two faults, ms, and most time that one lasts. */
const GAP_MS = 2_000;
const LAST_MS = 4_000;
/** How much longer a slow machine has until every kind has happened, ms. */
const EXTRA_MS = 60_000;

type Fault =
  | 'kill-agent'
  | 'stop-agent'
  | 'wipe'
  | 'kill-workerd'
  | 'cut'
  | 'freeze'
  | 'schema'
  | 'reference';

/** How often each kind comes, before any comes again. A disk is emptied once, at half of the time. */
const DECK: readonly Fault[] = [
  'kill-agent',
  'kill-agent',
  'kill-workerd',
  'cut',
  'freeze',
  'stop-agent',
  'schema',
  'reference',
];

/** What a fault is about: one at a time. */
function targetOf(fault: Fault, { agent, cable }: Station): unknown {
  if (fault === 'cut' || fault === 'freeze') return cable;
  return fault === 'kill-agent' || fault === 'stop-agent' || fault === 'wipe' ? agent : fault;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0] as T);
}

/** Kills, cuts and changes, one after another, which last into each other; the seed decides which and when. */
export class Faults {
  readonly counts: FaultCounts = {
    agentKills: 0,
    agentStops: 0,
    workerdKills: 0,
    cuts: 0,
    freezes: 0,
    wipes: 0,
    schemaChanges: 0,
    referenceWrites: 0,
  };
  readonly #options: FaultOptions;
  readonly #startedAt = Date.now();
  readonly #pending = new Set<Promise<void>>();
  /** What is in the middle of a fault already. */
  readonly #busy = new Set<unknown>();
  #setting = 0;
  /** That were surely added. */
  readonly #columns: string[] = [];

  constructor(options: FaultOptions) {
    this.#options = options;
  }

  /** Resolves when the time is over and all is mended and started again. */
  async run(): Promise<void> {
    const { random, until } = this.#options;
    const half = this.#startedAt + (until - this.#startedAt) / 2;
    let deck: Fault[] = [];
    while (Date.now() < until || (this.#isMissing && Date.now() < until + EXTRA_MS)) {
      await pause(random.below(GAP_MS));
      const lastsMs = random.below(LAST_MS);
      const isDue = this.counts.wipes === 0 && Date.now() >= half;
      if (deck.length === 0) deck = shuffled(DECK, random);
      const fault = isDue ? 'wipe' : (deck.pop() as Fault);
      // Every kind comes in turn, at whatever is not in the middle of another one.
      const stations = this.#options.stations.filter((station) => !this.#busy.has(targetOf(fault, station)));
      if (stations.length > 0) this.#begin(fault, random.pick(stations), lastsMs);
    }
    await Promise.all(this.#pending);
  }

  /** A kind of fault that nothing would be shown without has not happened yet. */
  get #isMissing(): boolean {
    const { agentKills, workerdKills, cuts, freezes, wipes } = this.counts;
    return Math.min(agentKills, workerdKills, cuts, freezes, wipes) === 0;
  }

  #begin(fault: Fault, station: Station, lastsMs: number): void {
    const target = targetOf(fault, station);
    this.#busy.add(target);
    const pending = this.#happen(fault, station, lastsMs).finally(() => {
      this.#busy.delete(target);
      this.#pending.delete(pending);
    });
    this.#pending.add(pending);
    // It is awaited in the end.
    pending.catch(() => undefined);
  }

  #happen(fault: Fault, station: Station, lastsMs: number): Promise<void> {
    switch (fault) {
      case 'kill-agent':
        return this.#killAgent(station, lastsMs);
      case 'stop-agent':
        return this.#stopAgent(station);
      case 'wipe':
        return this.#wipe(station);
      case 'kill-workerd':
        return this.#killWorkerd();
      case 'cut':
        return this.#cut(station, 'cut', lastsMs);
      case 'freeze':
        return this.#cut(station, 'frozen', lastsMs);
      case 'schema':
        return this.#changeSchema();
      case 'reference':
        return this.#writeReference();
    }
  }

  async #killAgent({ agent }: Station, awayMs: number): Promise<void> {
    this.counts.agentKills++;
    this.#say(`${agent.name} killed, away for ${awayMs} ms`);
    await agent.end('SIGKILL');
    await pause(awayMs);
    await agent.start();
  }

  async #stopAgent({ agent }: Station): Promise<void> {
    this.counts.agentStops++;
    this.#say(`${agent.name} told to stop`);
    const ended = await agent.end('SIGTERM');
    if (ended?.code !== 0)
      this.#options.tally.defects.push(`${agent.name} ended with ${ended?.code} ${ended?.signal}`);
    await agent.start();
  }

  async #wipe({ agent }: Station): Promise<void> {
    this.counts.wipes++;
    this.#say(`${agent.name} killed, its disk emptied`);
    await agent.end('SIGKILL');
    agent.wipe();
    await agent.start();
  }

  async #killWorkerd(): Promise<void> {
    if (!this.#options.edge.killWorkerd()) return;
    this.counts.workerdKills++;
    this.#say('workerd killed');
  }

  async #cut({ agent, cable }: Station, state: LinkState, lastsMs: number): Promise<void> {
    this.counts[state === 'cut' ? 'cuts' : 'freezes']++;
    this.#say(`link of ${agent.name} ${state} for ${lastsMs} ms`);
    cable.set(state);
    await pause(lastsMs);
    cable.set('open');
  }

  async #writeReference(): Promise<void> {
    const { edge, ledger, tally } = this.#options;
    const value = ++this.#setting;
    const outcome = await query(edge.url, 'INSERT INTO setting (name, value) VALUES (?, ?)', [
      `s${value}`,
      value,
    ]);
    tally.add('reference write', outcome);
    const fate = outcome.kind === 'ok' ? 'acknowledged' : outcome.kind === 'none' ? 'failed' : 'unknown';
    ledger.raised('setting', value, fate);
    this.counts.referenceWrites++;
  }

  async #changeSchema(): Promise<void> {
    const { edge, tally } = this.#options;
    const number = ++this.counts.schemaChanges;
    const column = this.#columns.at(-1);
    const isIndex = number % 3 === 0 && column !== undefined;
    const sql = isIndex
      ? `CREATE INDEX item_${number} ON item (tenant, ${column})`
      : `ALTER TABLE item ADD COLUMN extra_${number} INTEGER DEFAULT ${number}`;
    const outcome = await query(edge.url, sql, [], { timeoutMs: 20_000 });
    this.#say(`schema change ${number}: ${outcome.kind}`);
    tally.add('schema change', outcome);
    if (outcome.kind === 'ok' && !isIndex) this.#columns.push(`extra_${number}`);
  }

  #say(line: string): void {
    const seconds = ((Date.now() - this.#startedAt) / 1000).toFixed(1).padStart(6);
    this.#options.log(`${seconds} s  ${line}`);
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
