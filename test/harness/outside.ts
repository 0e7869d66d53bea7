import type { CommitId } from '../../src/base/brand.ts';
import { formatTimestamp } from '../../src/core/clock/timestamp.ts';
import { failureOf } from '../../src/core/execution/failure.ts';
import { purgeStep, RETENTION_MS } from '../../src/core/log/purge.ts';
import { readHead } from '../../src/core/log/tables.ts';
import { EDGE } from '../../src/core/network/votes.ts';
import { followersFloor, markLost } from '../../src/core/replica/followers.ts';
import { networkVersion } from '../../src/core/replica/network-version.ts';
import { forgetOldEntries } from '../../src/core/replica/retention.ts';
import type { System } from '../../src/core/replica/system.ts';
import { termAt } from '../../src/core/replication/position.ts';
import { SimulatedAgent } from './agent.ts';
import type { Outside, SimulatedCopy } from './agent-copy.ts';
import { Comparing } from './comparing.ts';
import type { World } from './coordinator.ts';
import { checkSameLog, Digests } from './digests.ts';
import { EdgeRegistry } from './edge-registry.ts';
import { EdgeShipping } from './edge-shipping.ts';
import type { Host } from './host.ts';
import type { Mutant } from './mutants.ts';
import { Readers } from './readers.ts';
import { type Link, type Packet, type Reply, type Request, Wire } from './wire.ts';

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

  entryBefore(partition: number, commit: number): { term: number; timestamp: string } | null {
    const port = this.#edge(partition).host.port.inner;
    const term = termAt(port, (commit - 1) as CommitId);
    const [row] = port.query('SELECT timestamp FROM _atoll_commits WHERE commit_id = ?', commit - 1).rows;
    return term === null || row === undefined ? null : { term, timestamp: String(row[0]) };
  }

  #edge(partition: number): EdgeShipping {
    return this.#shipping[partition] as EdgeShipping;
  }

  #newcomer(): void {
    if (this.#agents.length < AGENTS_MAX) this.#addAgent();
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
    const link: Link = {
      number: ++this.#links,
      host,
      partition,
      agentOpen: true,
      edgeOpen: true,
      replies: new Map(),
      lastFollow: 0,
    };
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
    else if (what < 66) this.#purge(random.pick(this.#shipping));
    else if (what < 69) agent.clockOff = random.pick([0, 0, 400, -900, 1500, -1800, 5000, -3_600_000]);
    else if (what < 72) this.#operate();
    else if (what < 76) this.#newcomer();
    else {
      const ms = random.pick([8_000, 20_000, 20_000, 70_000, RETENTION_MS + 60_000, 3 * RETENTION_MS]);
      this.note(`${ms} ms pass`);
      coverage.jumps++;
      this.#sleep(ms);
    }
  }

  /** Whatever the leaders have become, copies will be compared with. */
  #look(): void {
    for (const edge of this.#shipping) {
      this.digests.note(edge.host.replica);
    }
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
    if (packet !== undefined) this.#arrive(packet);
  }

  #arrive(packet: Packet): void {
    if (packet.to === 'peer') {
      const agent = this.#agents.find(({ address }) => address === packet.address);
      if (agent === undefined || !agent.isUp || agent.isolated) return;
      this.note(`peer ${agent.host} ${packet.message.kind}`);
      agent.guarded(() => agent.receiveGossip(packet.from, packet.message));
      this.#checkVersion(agent);
      return;
    }
    const { link } = packet;
    if (packet.to === 'edge') {
      if (!link.edgeOpen) return;
      this.note(`to edge ${link.host}/${link.partition} ${nameOf(packet)}`);
      this.#toEdge(packet);
      return;
    }
    const { message } = packet;
    const agent = this.#agents.find(({ host }) => host === link.host);
    if (agent === undefined || !agent.isUp || !link.agentOpen) return;
    this.note(`to ${link.host}/${link.partition} ${nameOf(packet)}`);
    agent.guarded(() => agent.receive(link, message));
    this.#checkVersion(agent);
    const position = agent.copy(link.partition)?.position;
    this.note(`${agent.host}/${link.partition} at ${position?.commitId ?? '-'}`);
  }

  #toEdge({ link, message }: Packet & { to: 'edge' }): void {
    const edge = this.#edge(link.partition);
    if (message.type === 'appended') {
      const { host, partition } = link;
      const { commitId } = message.answer.position;
      const reached = this.#durable.get(`${host}/${partition}`) ?? 0;
      const strayed = this.#copyOf(host, partition)?.strayed === true;
      if (commitId > reached && !strayed)
        throw new Error(
          `${host} has confirmed commit ${commitId} of partition ${partition}, and never had more than ${reached}`,
        );
      edge.acknowledged(link, message.answer);
      this.#checkMatched(edge, link);
      return;
    }
    const { call, request } = message;
    if (request.type === 'follow') {
      if (call < link.lastFollow) return;
      link.lastFollow = call;
    }
    const reply = link.replies.get(call) ?? this.#answer(link, request);
    if (reply === null || !link.edgeOpen) return;
    link.replies.set(call, reply);
    this.#wire.send({ to: 'agent', link, message: { type: 'reply', call, reply } });
    if (request.type === 'follow') {
      edge.ship();
      this.#checkMatched(edge, link);
    }
  }

  #answer(link: Link, request: Request): Reply | null {
    if (request.type === 'join' || request.type === 'heartbeat' || request.type === 'vote')
      return this.#registry.receive(link, request);
    return this.#edge(link.partition).receive(link, request);
  }

  /** What the leader takes for certain of a follower is so. */
  #checkMatched(edge: EdgeShipping, { host, partition, agentOpen }: Link): void {
    const copy = this.#copyOf(host, partition);
    if (copy === null || copy.strayed || !agentOpen || edge.hostsTwice(host)) return;
    const matched = edge.matched.get(host);
    const position = copy.position?.commitId ?? 0;
    if (matched !== undefined && matched > position)
      throw new Error(
        `the leader of partition ${partition} takes ${host} to have ${matched}, and it has ${position}`,
      );
  }

  #copyOf(host: string, partition: number): SimulatedCopy | null {
    return this.#agents.find((agent) => agent.host === host)?.copy(partition) ?? null;
  }

  /** The leaders' logs may have grown. */
  grown(): void {
    this.#look();
    for (const edge of this.#shipping) if (this.random.chance(0.7)) edge.ship();
  }

  /** Copies that answer, and are not about to find out that they must not. */
  #readable(): { readonly host: string; readonly copy: SimulatedCopy }[] {
    return this.#agents
      .flatMap(({ host, isUp, copies }) => (isUp ? [...copies.values()].map((copy) => ({ host, copy })) : []))
      .filter(({ copy }) => copy.follower !== null && !copy.strayed);
  }

  #compare(): void {
    const readable = this.#readable();
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
    const readable = this.#readable();
    if (readable.length === 0 || this.random.chance(0.15)) {
      const { replica, id } = this.random.pick(this.#shipping).host;
      this.readers.read(replica, false, `leader ${id}`);
      return;
    }
    const { host, copy } = this.random.pick(readable);
    if (copy.follower !== null) this.readers.read(copy.follower.replica, true, `${host}/${copy.partition}`);
  }

  // --- Trouble -------------------------------------------------------------------------------------------

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

  /** The log is short of space, or old. */
  #purge({ host }: EdgeShipping): void {
    const { random, now } = this;
    const { port, replica } = host;
    const bytesMax = random.pick([0, 400, 3000, 2 ** 30]);
    const others = this.#world.hosts.slice(1).map((each) => each.replica.systemIndex);
    const needed = host.id === 0 ? Math.min(...others) : readHead(port).lastCommitId;
    const milliseconds = now - random.pick([0, 60_000, RETENTION_MS]);
    const olderThan = formatTimestamp({ milliseconds, counter: 0, node: replica.identity.node });
    const first = readHead(port).firstCommitId;
    const marks = random.chance(0.5);
    const asObjectsDo = random.chance(0.3);
    try {
      const step = host.step(this.fault(), () => {
        if (asObjectsDo) {
          forgetOldEntries(replica, now, needed, 3);
          return;
        }
        if (marks) markLost(port, now, bytesMax);
        const floor = Math.min(needed + 1, followersFloor(port)) as CommitId;
        for (let i = 0; i < 3; i++) if (!purgeStep(port, { olderThan, bytesMax, floor })) break;
      });
      if (step.crashed && host.id === 0) this.#systemRestarted();
    } catch (error) {
      if (!failureOf(error).message.startsWith('injected')) throw error;
    }
    if (readHead(port).firstCommitId > first) this.coverage.purges++;
    this.note(`purge ${host.id} to ${readHead(port).firstCommitId}`);
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
    let restless = '';
    for (let round = 0; round < ROUNDS_MAX; round++) {
      this.#round(round);
      restless = this.#restless();
      if (restless === '') break;
    }
    if (restless !== '') throw new Error(`after ${ROUNDS_MAX} rounds without trouble: ${restless}`);
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

  /** Why it is not over yet; empty if it is. */
  #restless(): string {
    const version = networkVersion((this.#world.hosts[0] as Host).port);
    for (const agent of this.#agents) {
      const { host } = agent;
      if (agent.status !== 'read') return `${host} is ${agent.status}: ${this.#standing(agent)}`;
      if (this.#registry.statusOf(host) !== 'read')
        return `${host} is ${this.#registry.statusOf(host)} in the tables`;
      const wanted = this.#registry.partitionsOf(host);
      const held = [...agent.copies.keys()].sort((a, b) => a - b);
      if (wanted.join() !== held.join()) return `${host} holds ${held} and shall hold ${wanted}`;
      for (const [partition, copy] of agent.copies) {
        const { last } = this.#edge(partition);
        if (copy.phase !== 'following' || copy.position?.commitId !== last)
          return `${host}/${partition} is ${copy.phase} at ${copy.position?.commitId} of ${last}`;
      }
      if (agent.document?.version !== version)
        return `${host} knows network information ${agent.document?.version} of ${version}`;
    }
    return '';
  }

  #standing({ copies }: SimulatedAgent): string {
    return [...copies]
      .map(
        ([partition, { phase, position, leaderLast }]) =>
          `${partition} ${phase} at ${position?.commitId} of ${leaderLast}`,
      )
      .join(', ');
  }

  #checkEnd(): void {
    const bodies = new Set(this.#agents.map(({ document }) => document?.body));
    if (bodies.size > 1) throw new Error('agents know different network informations of one version');
    if (!bodies.has(JSON.stringify(this.#system().network())))
      throw new Error('agents know another network information than the edge');
    for (const agent of this.#agents) {
      for (const [partition, copy] of agent.copies) {
        const what = `at the end, ${agent.host}/${partition}`;
        const { port, replica } = this.#edge(partition).host;
        const follower = copy.follower;
        if (follower === null) throw new Error(`${what} has no replica`);
        if (!this.digests.check(follower.replica, what))
          throw new Error(`${what}: its leader was not looked at`);
        checkSameLog(port, follower.replica.port, what);
        if (replica.schema.version !== follower.replica.schema.version)
          throw new Error(`${what}: another schema`);
        this.coverage.compared++;
      }
    }
    const { rows } = (this.#world.hosts[0] as Host).port.query(
      'SELECT proposal, voter, accept FROM atoll_votes',
    );
    for (const [proposal, voter, accept] of rows) {
      if (voter !== EDGE && !this.#cast.has(`${voter}/${proposal}/${accept}`))
        throw new Error(`${voter} never voted ${accept} on ${proposal}`);
    }
  }

  close(): void {
    for (const agent of this.#agents) for (const copy of agent.copies.values()) copy.close();
  }
}

function nameOf({ message }: Packet & { to: 'edge' | 'agent' }): string {
  if (message.type === 'call') return message.request.type;
  if (message.type === 'reply') return `reply ${message.reply.type}`;
  if (message.type === 'appended') return `${message.answer.kind} ${message.answer.position.commitId}`;
  return message.type;
}
