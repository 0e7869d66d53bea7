import type { Random } from '../harness/random.ts';
import type { SimulatedCluster } from './cluster.ts';
import type { Coverage } from './coverage.ts';
import type { Actor, EventLoop } from './event-loop.ts';
import { type BadLink, between } from './links.ts';
import type { Straggler, Trap } from './network.ts';
import type { PartitionHost } from './partition-host.ts';

/** Something that will go wrong. What it takes was drawn when it was planned: without one, the others stay what they are. */
export interface Fault {
  /** Simulated time from the start of trouble, ms. */
  readonly at: number;
  readonly name: string;
  readonly happen: () => void;
}

/** Messages that decide how it goes on: the next one may be late, or the end of whoever takes it. More often, those of transactions. */
const DECISIVE: readonly string[] = [
  ...['prepare', 'prepare', 'prepare'],
  ...['transact', 'transact', 'transact'],
  ...['transaction-ends', 'transaction-ends', 'transaction-ends'],
  'transaction-state',
  'execute',
  'certify',
  'schema-check',
  'feed',
  'script-run',
  'script-commit',
  'interactive-commit',
  'import-chunk',
];

/** Of routers. */
const ASKED: readonly string[] = [
  'interactive-commit',
  'interactive-commit',
  'interactive-commit',
  'transact',
  'execute',
];

/** How often nothing goes wrong at all. */
const CALM = 0.15;

export interface NemesisOptions {
  readonly troubleMs: number;
  /** Messages that decide how the workload goes on. */
  readonly decisive?: readonly string[] | undefined;
  /** {@link CALM} of the workload. */
  readonly calm?: number | undefined;
}

/**
 * Plans what goes wrong, and does it until it is told to stop: each run has other faults and other rates (swarm testing, A. Groce and
 * others, ISSTA 2012).
 */
export class Nemesis implements Actor {
  readonly name = 'nemesis';
  clockOffsetMs = 0;
  alive = true;
  /** In order of time; their numbers are what `without` names. */
  readonly plan: readonly Fault[];
  readonly #loop: EventLoop;
  readonly #cluster: SimulatedCluster;
  readonly #coverage: Coverage;
  readonly #random: Random;
  /** Messages that decide how the workload goes on. */
  readonly #decisive: readonly string[];

  constructor(
    loop: EventLoop,
    cluster: SimulatedCluster,
    coverage: Coverage,
    { troubleMs, decisive = [], calm = CALM }: NemesisOptions,
  ) {
    this.#loop = loop;
    this.#cluster = cluster;
    this.#coverage = coverage;
    this.#random = loop.stream('nemesis');
    this.#decisive = decisive;
    this.plan = this.#random.chance(calm) ? [] : this.#planFor(troubleMs);
  }

  /** Sometimes nothing goes wrong: then nobody may have to wait until a deadline. */
  get isCalm(): boolean {
    return this.plan.length === 0;
  }

  start(without: ReadonlySet<number>): void {
    for (const [number, { at, happen }] of this.plan.entries())
      if (!without.has(number)) this.#loop.schedule(at, this, happen);
  }

  /** Everything is well from now on. */
  stop(): void {
    this.alive = false;
    const { network, hosts, routers } = this.#cluster;
    network.links.heal();
    network.traps.clear();
    network.stragglers.clear();
    network.ambushes.clear();
    Object.assign(network.trouble, { lost: 0, slow: 0, repeated: 0 });
    for (const host of hosts) {
      host.clockOffsetMs = 0;
      host.actor.clockOffsetMs = 0;
    }
    for (const router of routers) router.clockOffsetMs = 0;
  }

  #planFor(troubleMs: number): Fault[] {
    const random = this.#random;
    const plan: Fault[] = [];
    const { trouble } = this.#cluster.network;
    const rates = {
      lost: random.pick([0, 0.005, 0.03, 0.08]),
      slow: random.pick([0, 0.01, 0.05, 0.2]),
      repeated: random.pick([0, 0.05, 0.3]),
    };
    for (const [what, rate] of Object.entries(rates)) {
      if (rate > 0)
        plan.push({
          at: 0,
          name: `messages ${what}: ${rate}`,
          happen: () => Object.assign(trouble, { [what]: rate }),
        });
    }
    if (random.chance(0.4)) plan.push({ at: 0, ...this.#late() });
    // With few kinds of faults more gets done in between.
    const density = random.pick([0.2, 0.5]);
    const kinds = [
      () => this.#crash(),
      () => this.#crash(),
      () => this.#evict(),
      () => this.#supersede(),
      () => this.#outage(),
      () => this.#trap(),
      () => this.#trap(),
      () => this.#straggle(),
      () => this.#straggle(),
      () => this.#killRouter(),
      () => this.#killRouter(),
      () => this.#cut(),
      () => this.#swizzle(),
      () => this.#slow(),
      () => this.#jump(),
    ].filter(() => random.chance(density));
    const pauseMs = random.pick([20, 60, 200, 600]);
    for (let at = 0; kinds.length > 0; ) {
      at += random.next() * 2 * pauseMs;
      if (at > troubleMs) break;
      plan.push({ at, ...random.pick(kinds)() });
    }
    return plan;
  }

  // --- Hosts -----------------------------------------------------------------------------------------------

  #crash(): Omit<Fault, 'at'> {
    const host = this.#anyHost();
    return this.#fault(`crash of partition ${host.id}`, 'crashes', () => host.crash(false));
  }

  #evict(): Omit<Fault, 'at'> {
    const host = this.#anyHost();
    return this.#fault(`eviction of partition ${host.id}`, 'evictions', () => host.crash(true));
  }

  #supersede(): Omit<Fault, 'at'> {
    const host = this.#anyHost();
    return this.#fault(`another instance of partition ${host.id}`, 'superseded', () => host.supersede());
  }

  /** It crashes, and nobody reaches it for a while, which they are told at once. */
  #outage(): Omit<Fault, 'at'> {
    const host = this.#anyHost();
    const forMs = this.#random.pick([20, 100, 500, 1_500]) * (0.5 + this.#random.next());
    return this.#fault(`outage of partition ${host.id}, ${Math.round(forMs)} ms`, 'outages', () => {
      host.crash(false);
      this.#spoil(forMs, ...between(host.actor.name, null, 'refused'));
    });
  }

  /** Whoever takes the next such message dies of it: the moments that matter are few. */
  #trap(): Omit<Fault, 'at'> {
    const type = this.#anyDecisive();
    const when = this.#random.pick(['executed', 'durable', 'answered'] as const);
    const trap: Trap = { type, when };
    return {
      name: `crash by '${type}', ${when}`,
      happen: () => void this.#cluster.network.traps.add(trap),
    };
  }

  /** One that begins again knows nothing, and may be unable to ask: the system partition is out of its reach for a while. */
  #killRouter(): Omit<Fault, 'at'> {
    const number = this.#random.below(this.#cluster.routers.length);
    const blindMs = this.#random.chance(0.3) ? 0 : this.#random.next() * 800;
    // What it asks for was done: its client does not hear of it.
    const type = this.#random.chance(0.7) ? this.#random.pick(ASKED) : null;
    const kill = (dying: number): void => {
      const { name } = this.#cluster.routers[dying] as Actor;
      const [system] = this.#cluster.hosts as [PartitionHost];
      // Counted where it happens.
      this.#cluster.killRouter(dying);
      if (blindMs > 0) this.#spoil(blindMs, ...between(name, system.actor.name, 'refused'));
    };
    const strike = (sender: Actor): void => {
      const dying = this.#cluster.routers.map((router): Actor => router).indexOf(sender);
      if (dying >= 0) kill(dying);
    };
    const blind = blindMs > 0 ? `, for ${Math.round(blindMs)} ms blind` : '';
    if (type === null) return { name: `death of router ${number}${blind}`, happen: () => kill(number) };
    return {
      name: `death of a router by the answer to '${type}'${blind}`,
      happen: () => void this.#cluster.network.ambushes.add({ type, strike }),
    };
  }

  /** Drift is slower than what a run takes; steps are what NTP and suspended machines do. */
  #jump(): Omit<Fault, 'at'> {
    const offset = this.#random.pick([-400, -100, -30, 30, 100, 200]);
    const number = this.#random.below(this.#cluster.routers.length);
    const host = this.#anyHost();
    const ofHost = this.#random.chance(0.7);
    const whose = ofHost ? `partition ${host.id}` : `router ${number}`;
    return this.#fault(`the clock of ${whose} is ${offset} ms off`, 'clockJumps', () => {
      if (ofHost) {
        host.clockOffsetMs = offset;
        host.actor.clockOffsetMs = offset;
      } else (this.#cluster.routers[number] as Actor).clockOffsetMs = offset;
    });
  }

  // --- Links -----------------------------------------------------------------------------------------------

  #cut(): Omit<Fault, 'at'> {
    const [one, other] = [this.#anyName(), this.#anyName()];
    const how = this.#random.pick(['silent', 'refused'] as const);
    const links = this.#random.chance(0.3) ? [{ from: one, to: other, how }] : between(one, other, how);
    const forMs = this.#random.next() * 1_500;
    return this.#fault(`${links.length} way(s) ${how} between ${one} and ${other}`, 'cuts', () =>
      this.#spoil(forMs, ...links),
    );
  }

  /** Some hosts are cut off one by one, and come back in another order (FoundationDB's swizzle-clogging). */
  #swizzle(): Omit<Fault, 'at'> {
    const random = this.#random;
    const names = this.#cluster.hosts.map(({ actor }) => actor.name).filter(() => random.chance(0.5));
    const times = names.map(() => ({ from: random.next() * 300, forMs: random.next() * 600 }));
    return this.#fault(`swizzle of ${names.join(', ')}`, 'swizzles', () => {
      for (const [index, name] of names.entries()) {
        const { from, forMs } = times[index] as (typeof times)[number];
        this.#loop.schedule(from, this, () => this.#spoil(forMs, ...between(name, null, 'silent')));
      }
    });
  }

  /** So that some see what happened long before others do. */
  #slow(): Omit<Fault, 'at'> {
    const name = () => (this.#random.chance(0.6) ? this.#anyHost().actor.name : this.#anyName());
    const whole = this.#random.pick(['from', 'to', null, null] as const);
    const from = whole === 'to' ? null : name();
    const to = whole === 'from' ? null : name();
    // The longest is more than a participant waits before it asks.
    const moreMs = this.#random.pick([5, 20, 80, 300, 1_200, 1_200, 1_200]);
    const forMs = this.#random.next() * 1_500;
    return this.#fault(`${moreMs} ms more from ${from ?? 'all'} to ${to ?? 'all'}`, 'slowLinks', () =>
      this.#spoil(forMs, { from, to, how: moreMs }),
    );
  }

  /** As {@link #slow}, of messages of one type: single ones, or many for a while. */
  #straggle(): Omit<Fault, 'at'> {
    const { stragglers } = this.#cluster.network;
    const some = Array.from({ length: 1 + this.#random.below(3) }, () => this.#straggler());
    const forMs = this.#random.next() * 1_500;
    return {
      name: some.map((each) => nameOfStraggler(each, forMs)).join(', '),
      happen: () => {
        for (const each of some) stragglers.add(each);
        this.#loop.schedule(forMs, this, () => {
          for (const each of some) stragglers.delete(each);
        });
      },
    };
  }

  /** In a whole run, so that there is time between what usually comes at once: a decision, say, and its being known everywhere. */
  #late(): Omit<Fault, 'at'> {
    const type = this.#random.pick(['transaction-ends', ...this.#decisive]);
    const moreMs = this.#random.pick([5, 20, 80, 300]);
    // Votes, beside what asks for them.
    const way = type === 'prepare' ? 'answersLost' : 'messagesLost';
    const straggler: Straggler = { type, way, moreMs, once: false };
    return {
      name: nameOfStraggler(straggler, Number.POSITIVE_INFINITY),
      happen: () => void this.#cluster.network.stragglers.add(straggler),
    };
  }

  #straggler(): Straggler {
    const type = this.#anyDecisive();
    const way = this.#random.pick(['messagesLost', 'messagesLost', 'answersLost'] as const);
    const moreMs = this.#random.pick([5, 20, 80, 300, 1_200, null]);
    // That none arrives is what links are for.
    return { type, way, moreMs, once: moreMs === null || this.#random.chance(0.5) };
  }

  #spoil(forMs: number, ...links: readonly BadLink[]): void {
    const heal = this.#cluster.network.links.spoil(...links);
    this.#loop.schedule(forMs, this, heal);
  }

  #anyDecisive(): string {
    const own = this.#decisive.length > 0 && this.#random.chance(0.5);
    return this.#random.pick(own ? this.#decisive : DECISIVE);
  }

  #anyName(): string {
    const { hosts, routers } = this.#cluster;
    return this.#random.pick([...hosts.map(({ actor }) => actor.name), ...routers.map(({ name }) => name)]);
  }

  #anyHost(): SimulatedCluster['hosts'][number] {
    return this.#random.pick(this.#cluster.hosts);
  }

  #fault(name: string, counter: keyof Coverage, happen: () => void): Omit<Fault, 'at'> {
    return {
      name,
      happen: () => {
        this.#coverage[counter]++;
        happen();
      },
    };
  }
}

function nameOfStraggler({ type, way, moreMs, once }: Straggler, forMs: number): string {
  const what = way === 'messagesLost' ? `'${type}'` : `the answer to '${type}'`;
  if (moreMs === null) return `${what} is lost`;
  return `${what} comes ${moreMs} ms later${once || !Number.isFinite(forMs) ? '' : `, for ${Math.round(forMs)} ms`}`;
}
