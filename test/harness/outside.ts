import { RETENTION_MS } from '../../src/core/log/purge.ts';
import { readHead } from '../../src/core/log/tables.ts';
import { networkVersion } from '../../src/core/replica/network-version.ts';
import type { System } from '../../src/core/replica/system.ts';
import { readableCopies, SimulatedAgent } from './agent.ts';
import type { Outside, SimulatedCopy } from './agent-copy.ts';
import { Arrivals } from './arrivals.ts';
import { Comparing } from './comparing.ts';
import type { World } from './coordinator.ts';
import { Digests } from './digests.ts';
import { EdgeRegistry } from './edge-registry.ts';
import { EdgeShipping } from './edge-shipping.ts';
import type { Host } from './host.ts';
import type { Mutant } from './mutants.ts';
import { purge } from './purge.ts';
import { Readers } from './readers.ts';
import { checkCopies, checkNetwork, checkVotes, restless } from './rest.ts';
import { type Link, newLink, Wire } from './wire.ts';

/** Rounds of five seconds after which everything must have come to rest (chosen: ten times what it takes). */
const ROUNDS_MAX = 300;
const AGENTS_MAX = 5;

export interface OutsideParts {
  readonly world: World;
  readonly system: () => System;
  readonly systemRestarted: () => void;
  readonly mutant: Mutant | null;
  readonly sleep: (ms: number) => void;
}

/** The hosts outside the edge, and all that passes between them and it. */
export class SimulatedOutside implements Outside {
  readonly mutant: Mutant | null;
  readonly digests = new Digests();
  readonly readers: Readers;
  readonly #comparing = new Comparing(this);
  readonly #world: World;
  readonly #system: () => System;
  readonly #systemRestarted: () => void;
  readonly #sleep: (ms: number) => void;
  readonly #wire: Wire;
  readonly #shipping: readonly EdgeShipping[];
  readonly #registry: EdgeRegistry;
  readonly #agents: SimulatedAgent[] = [];
  /** The newest network information that each agent has known, and the furthest that each copy was, ever. */
  readonly #versions = new Map<string, number>();
  readonly #durable = new Map<string, number>();
  readonly #cast = new Set<string>();
  readonly #arrivals: Arrivals;
  #systemCut = false;
  #links = 0;
  #names = 0;

  constructor(parts: OutsideParts) {
    const { world, mutant } = parts;
    this.#world = world;
    this.mutant = mutant;
    this.#system = parts.system;
    this.#systemRestarted = parts.systemRestarted;
    this.#sleep = parts.sleep;
    this.readers = new Readers(this);
    this.#wire = new Wire(world.random, world.coverage);
    const bytes = {
      batchBytes: this.random.pick([200, 4000, 30_000]),
      pageBytes: this.random.pick([1000, 8000, 30_000]),
    };
    this.#shipping = world.hosts.map((host) => new EdgeShipping(host, this, this.#wire, bytes));
    this.#registry = new EdgeRegistry({
      outside: this,
      wire: this.#wire,
      host: world.hosts[0] as Host,
      system: parts.system,
      restarted: parts.systemRestarted,
      links: this.#edge(0).links,
      wanted: this.random.pick([1, 2, 2]),
    });
    this.#arrivals = new Arrivals(this, this.#wire, {
      agents: this.#agents,
      registry: this.#registry,
      edge: (partition) => this.#edge(partition),
      copyOf: (host, partition) => this.#copyOf(host, partition),
      reached: (host, partition) => this.#durable.get(`${host}/${partition}`) ?? 0,
      checkVersion: (agent) => this.#checkVersion(agent),
    });
    for (let i = 2 + this.random.below(2); i > 0; i--) this.#addAgent();
  }

  get random() {
    return this.#world.random;
  }

  get coverage() {
    return this.#world.coverage;
  }

  get now(): number {
    return this.#world.now;
  }

  note = (event: string): void => this.#world.note(event);

  fault() {
    return this.#world.fault();
  }

  durable(host: string, partition: number, commit: number): void {
    const key = `${host}/${partition}`;
    this.#durable.set(key, Math.max(this.#durable.get(key) ?? 0, commit));
  }

  entryBefore(partition: number, commit: number) {
    return this.#edge(partition).entry(commit - 1);
  }

  #edge(partition: number): EdgeShipping {
    return this.#shipping[partition] as EdgeShipping;
  }

  #addAgent(): SimulatedAgent {
    const name = `agent-${++this.#names}`;
    const agent = new SimulatedAgent(name, `http://${name}:1`, this, {
      wire: this.#wire,
      dial: (from, partition) => this.#dial(from, partition),
      cast: (host, proposal, accept) => this.#cast.add(`${host}/${proposal}/${accept ? 1 : 0}`),
    });
    this.#agents.push(agent);
    return agent;
  }

  #dial({ host }: SimulatedAgent, partition: number): Link | null {
    if (partition === 0 && this.#systemCut) return null;
    const link = newLink(++this.#links, host, partition);
    this.#edge(partition).opened(link);
    return link;
  }

  // --- What happens --------------------------------------------------------------------------------------

  step(): void {
    const { random } = this;
    for (let i = 0; i < 4; i++) this.#comparing.step();
    const what = random.below(1000);
    if (what < 500) for (let i = 2 + random.below(14); i > 0; i--) this.#deliver();
    else if (what < 780) for (let i = 1 + random.below(3); i > 0; i--) this.#tick(random.pick(this.#agents));
    else if (what < 842) this.#read();
    else if (what < 850) this.#compare();
    else if (what < 880) this.#registry.watch();
    else if (what < 920) random.pick(this.#shipping).ship();
    else this.#trouble(random.below(80));
    this.#look();
  }

  #trouble(what: number): void {
    const { random, coverage } = this;
    const agent = random.pick(this.#agents);
    if (what < 12) this.#crash(agent);
    else if (what < 26) this.#cut(agent);
    else if (what < 33) this.#systemCut = random.chance(0.5) && this.#cutSystem();
    else if (what < 38) this.#leave(agent);
    else if (what < 44) this.#move(agent);
    else if (what < 47) this.#wipe(agent);
    else if (what < 53) this.#stray(agent);
    else if (what < 66) this.#purge(random.pick(this.#shipping).host);
    else if (what < 69) agent.clockOff = random.pick([0, 0, 400, -900, 1500, -1800, 5000, -3_600_000]);
    else if (what < 72) this.#operate();
    else if (what < 76 && this.#agents.length < AGENTS_MAX) this.#addAgent();
    else if (what < 76) this.note('enough agents');
    else {
      const ms = random.pick([8_000, 20_000, 20_000, 70_000, RETENTION_MS + 60_000, 3 * RETENTION_MS]);
      this.note(`${ms} ms pass`);
      coverage.jumps++;
      this.#sleep(ms);
    }
  }

  /** Whatever the leaders have become, copies will be compared with. */
  #look(): void {
    for (const { host } of this.#shipping) this.digests.note(host.replica);
    for (const agent of this.#agents) this.#checkVersion(agent);
  }

  #checkVersion({ host, document }: SimulatedAgent): void {
    const version = document?.version ?? 0;
    const known = this.#versions.get(host) ?? 0;
    if (version < known) throw new Error(`${host} went back from network information ${known} to ${version}`);
    this.#versions.set(host, version);
  }

  #tick(agent: SimulatedAgent): void {
    if (agent.isUp) agent.guarded(() => agent.tick());
    else if (this.random.chance(0.1)) this.#return(agent);
  }

  #deliver(): void {
    const packet = this.#wire.take();
    if (packet !== undefined) this.#arrivals.arrive(packet);
  }

  #copyOf(host: string, partition: number): SimulatedCopy | null {
    return this.#agents.find((agent) => agent.host === host)?.copy(partition) ?? null;
  }

  /** The leaders' logs may have grown. */
  grown(): void {
    this.#look();
    for (const edge of this.#shipping) if (this.random.chance(0.7)) edge.ship();
  }

  #compare(): void {
    const readable = readableCopies(this.#agents);
    if (readable.length === 0) return;
    const { host, copy } = this.random.pick(readable);
    const edge = this.#edge(copy.partition);
    this.#comparing.begin(
      `${host}/${copy.partition}`,
      () => edge.host.replica,
      () =>
        copy.strayed || this.#copyOf(host, copy.partition) !== copy ? null : (copy.follower?.replica ?? null),
    );
  }

  #read(): void {
    const readable = readableCopies(this.#agents);
    if (readable.length === 0 || this.random.chance(0.15)) {
      const { replica, id } = this.random.pick(this.#shipping).host;
      this.readers.read(replica, false, `leader ${id}`);
      return;
    }
    const { host, copy } = this.random.pick(readable);
    if (copy.follower !== null) this.readers.read(copy.follower.replica, true, `${host}/${copy.partition}`);
  }

  #crash(agent: SimulatedAgent): void {
    if (!agent.isUp) return;
    this.note(`${agent.host} is killed`);
    this.coverage.kills++;
    agent.stop(this.random.chance(0.4));
    this.#edgeLearns(agent.host, 0.7);
    agent.start();
  }

  /** The objects hear that the links are gone, or will. */
  #edgeLearns(host: string, chance: number): void {
    for (const edge of this.#shipping)
      for (const link of [...edge.links])
        if (link.host === host && !link.agentOpen && this.random.chance(chance)) edge.closed(link);
    this.#wire.forgetClosed();
  }

  #cut(agent: SimulatedAgent): void {
    const { random, coverage } = this;
    if (agent.cut.size > 0 || agent.isolated) {
      agent.cut.clear();
      agent.isolated = false;
      return;
    }
    if (random.chance(0.25)) {
      agent.isolated = true;
      return;
    }
    coverage.cuts++;
    // Without the system partition, an agent hears of the network from the others alone.
    const id = random.chance(0.5) ? 0 : random.pick(this.#shipping).host.id;
    this.note(`cut ${agent.host} from ${id}`);
    if (random.chance(0.7)) agent.cut.add(id);
    agent.disconnect(id);
    this.#edgeLearns(agent.host, 0.5);
  }

  #cutSystem(): true {
    this.note('the system partition is cut off');
    this.coverage.systemCuts++;
    for (const agent of this.#agents) {
      agent.disconnect(0);
      this.#edgeLearns(agent.host, 0.7);
    }
    return true;
  }

  #leave(agent: SimulatedAgent): void {
    if (!agent.isUp) return;
    this.note(`${agent.host} leaves`);
    this.coverage.away++;
    agent.stop(this.random.chance(0.3));
    this.#edgeLearns(agent.host, 0.9);
    if (this.random.chance(0.5))
      this.#sleep(this.random.pick([20_000, RETENTION_MS + 60_000, 3 * RETENTION_MS]));
  }

  #return(agent: SimulatedAgent): void {
    this.note(`${agent.host} returns`);
    if (this.random.chance(0.4)) this.#move(agent);
    agent.start();
  }

  #move(agent: SimulatedAgent): void {
    agent.address = `http://${agent.host}:${1 + this.random.below(1000)}`;
    this.note(`${agent.host} is at ${agent.address}`);
  }

  /** Its disk is empty: with its key, which its operator had elsewhere, or as a host that nobody knows. */
  #wipe(agent: SimulatedAgent): void {
    this.note(`${agent.host} loses its disk`);
    this.coverage.wiped++;
    if (agent.isUp) agent.stop(false);
    this.#edgeLearns(agent.host, 0.8);
    agent.wipe();
    if (this.random.chance(0.6)) {
      this.#versions.delete(agent.host);
      agent.start();
      return;
    }
    this.#agents.splice(this.#agents.indexOf(agent), 1);
    this.#addAgent();
  }

  #stray(agent: SimulatedAgent): void {
    const copies = [...agent.copies.values()].filter((copy) => copy.follower !== null && !copy.strayed);
    if (!agent.isUp || copies.length === 0) return;
    const copy = this.random.pick(copies);
    if (!copy.stray()) return;
    this.coverage.strays++;
    this.note(`${agent.host}/${copy.partition} has an entry of its own`);
    // It finds out when it follows again, or at the leader's next entry.
    if (this.random.chance(0.5)) this.#crash(agent);
  }

  #purge(host: Host): void {
    const others = this.#world.hosts.slice(1).map((each) => each.replica.systemIndex);
    const needed = host.id === 0 ? Math.min(...others) : readHead(host.port).lastCommitId;
    if (purge(this, host, needed) === 'crashed' && host.id === 0) this.#systemRestarted();
  }

  #operate(): void {
    const { random } = this;
    const { host } = random.pick(this.#agents);
    this.#registry.decide(random.pick(['drain', 'remove', 'accept', 'accept']), host);
  }

  // --- The end -------------------------------------------------------------------------------------------

  /** No more trouble: everybody is there, and in the end knows and holds the same. */
  settle(): void {
    this.note('outside settles');
    this.#wire.trouble = false;
    this.#systemCut = false;
    for (const agent of this.#agents) {
      agent.cut.clear();
      agent.isolated = false;
      agent.clockOff = 0;
      if ([...agent.copies.values()].some(({ strayed }) => strayed)) agent.stop(false);
      if (!agent.isUp) agent.start();
      this.#edgeLearns(agent.host, 1);
      agent.wake();
    }
    let why = '';
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.#round(round);
      why = restless(this.#agents, this.#registry, this.#shipping, networkVersion(this.#edge(0).host.port));
      if (why === '') break;
    }
    if (why !== '') throw new Error(`after ${ROUNDS_MAX} rounds without trouble: ${why}`);
    this.note('outside rests');
    this.#checkEnd();
  }

  #round(round: number): void {
    this.#sleep(5_000);
    for (const { host, draining, status } of this.#registry.members()) {
      if (draining || status === 'proposal') this.#registry.decide('accept', host);
    }
    for (const agent of this.#agents) {
      // Those that must wait long before they may propose themselves again, are let in by hand.
      if (agent.status === 'removed' || agent.status === 'refused') {
        this.#registry.decide('accept', agent.host);
        agent.wake();
      }
      agent.guarded(() => agent.tick());
    }
    if (round % 3 === 0) this.#registry.watch();
    for (const edge of this.#shipping) edge.ship();
    while (!this.#wire.empty) this.#deliver();
    this.#look();
  }

  #checkEnd(): void {
    checkNetwork(this.#agents, JSON.stringify(this.#system().network()));
    this.coverage.compared += checkCopies(this.#agents, this.#shipping, this.digests);
    checkVotes(this.#edge(0).host.port, this.#cast);
  }

  close(): void {
    for (const agent of this.#agents) for (const copy of agent.copies.values()) copy.close();
  }
}
