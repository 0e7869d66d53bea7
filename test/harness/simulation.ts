import { createHash } from 'node:crypto';
import type { Epoch, PartitionId, Token } from '../../src/base/brand.ts';
import { failureOf } from '../../src/core/execution/failure.ts';
import {
  applyFeed,
  type CheckResult,
  checkSchemaChange,
  readFeed,
  setHold,
} from '../../src/core/replica/feed.ts';
import type { ExecuteOutcome } from '../../src/core/replica/outcome.ts';
import { System } from '../../src/core/replica/system.ts';
import { undoAndRedo } from '../../src/core/replica/undo-redo.ts';
import { covers } from '../../src/core/schema/token-map.ts';
import { AtollError } from '../../src/protocol/error.ts';
import type { ExecuteRequest } from '../../src/protocol/execute.ts';
import { SimulatedCoordinator, type World } from './coordinator.ts';
import { COVERAGE, type Coverage } from './coverage.ts';
import type { Fault } from './faulty-port.ts';
import { isHeldBack } from './held-back.ts';
import { Host } from './host.ts';
import { checkHost, checkLog, checkRows } from './invariants.ts';
import { type Message, Messages } from './messages.ts';
import { Model } from './model.ts';
import type { Mutant } from './mutants.ts';
import { SimulatedOutside } from './outside.ts';
import { Random } from './random.ts';
import { randomWrite, type Write } from './workload.ts';

/** A cluster in one thread: everything that happens follows from the seed. */
export class Simulation {
  readonly coverage = Object.fromEntries(COVERAGE.map((name) => [name, 0])) as Coverage;
  readonly #random: Random;
  readonly #trace = createHash('sha256');
  readonly #events: string[] = [];
  readonly #hosts: Host[];
  readonly #model = new Model();
  readonly #messages: Messages;
  readonly #coordinator: SimulatedCoordinator;
  readonly #outside: SimulatedOutside;
  #now = 1_700_000_000_000;
  /** Whether anything goes wrong: off at the end, so that everything comes to rest. */
  #trouble = true;

  constructor(seed: number, mutant: Mutant | null = null) {
    this.#random = new Random(seed);
    const partitions = 1 + this.#random.below(4);
    const system = new Host(0 as PartitionId, (port) => {
      const foundation = { database: 'main', history: 'h', partitions, settings: {} };
      return System.found(port, foundation, this.#now).replica;
    });
    const founded = System.open(system.replica);
    this.#hosts = [system, ...founded.uncreated().map((identity) => Host.of(identity))];
    for (const host of this.#partitions()) founded.confirmCreated(host.id, this.#now);
    this.#model.reference.set(0, system.fingerprint(true));
    this.#messages = new Messages(this.#random, this.coverage);
    const world = this.#world();
    this.#coordinator = new SimulatedCoordinator(world);
    this.#outside = new SimulatedOutside({
      world,
      system: () => this.#system,
      systemRestarted: () => this.#coordinator.restarted(),
      mutant,
      sleep: (ms) => {
        this.#now += ms;
      },
    });
  }

  /** The last events, for a report. */
  lastEvents(count: number): readonly string[] {
    return this.#events.slice(-count);
  }

  /** The same for the same seed. */
  run(steps: number): string {
    for (let i = 0; i < steps; i++) {
      // First a few tables, then whatever comes.
      if (i < 12) this.#changeSchema();
      else this.#step();
      this.#outside.grown();
      for (let j = this.#random.below(8); j > 0; j--) this.#outside.step();
      if (i % 40 === 39) this.#checkAll();
    }
    this.#settle();
    this.#checkAll();
    this.#outside.settle();
    for (const host of this.#hosts) checkHost(host, this.#model);
    for (const host of this.#hosts) checkLog(host);
    this.#outside.close();
    return this.#trace.digest('hex');
  }

  #step(): void {
    // Time stands still, goes on, and steps back.
    this.#now += this.#random.pick([0, 0, 1, 5, 1000, -700]);
    const what = this.#random.below(100);
    if (what < 40) this.#write();
    else if (what < 50) this.#changeSchema();
    else if (what < 75) this.#deliverOne();
    else if (what < 80) this.#coordinator.timeOut();
    else if (what < 87) this.#evict();
    else if (what < 92) this.#undo();
    else this.#coordinator.push();
  }

  get #system(): System {
    return this.#coordinator.system;
  }

  #world(): World {
    const now = () => this.#now;
    return {
      random: this.#random,
      coverage: this.coverage,
      messages: this.#messages,
      model: this.#model,
      hosts: this.#hosts,
      get now() {
        return now();
      },
      note: (event) => this.#note(event),
      fault: () => this.#fault(),
    };
  }

  #changeSchema(): void {
    if (this.#coordinator.isDeciding) this.#deliverOne();
    else this.#coordinator.changeSchema();
  }

  #note(event: string): void {
    this.#trace.update(event);
    this.#events.push(event);
  }

  #partitions(): Host[] {
    return this.#hosts.slice(1);
  }

  #host(id: PartitionId): Host {
    return this.#hosts[id] as Host;
  }

  #fault(
    kinds: readonly Fault[] = ['crash', 'crash', 'full', 'io', 'busy'],
  ): { kind: Fault; calls: number } | null {
    if (!this.#trouble || !this.#random.chance(0.12)) return null;
    return { kind: this.#random.pick(kinds), calls: this.#random.below(this.#random.pick([4, 12, 40, 200])) };
  }

  // --- Writing -------------------------------------------------------------------------------------------

  #write(): void {
    const { catalogue } = this.#system.replica.schema;
    if (catalogue.tables.length === 0) {
      this.#changeSchema();
      return;
    }
    const first = randomWrite(this.#random, catalogue);
    if (isHeldBack(first.sql, this.#system.replica.schema)) return;
    const host = this.#homeOf(first);
    const writes = [first];
    const more = this.#random.chance(0.4) ? this.#random.below(4) : 0;
    for (let i = 0; i < more; i++) {
      const next = randomWrite(this.#random, catalogue);
      if (this.#fits(next, host) && !isHeldBack(next.sql, this.#system.replica.schema)) writes.push(next);
    }
    // A group of requests, some of several statements.
    const requests: Write[][] = [];
    for (const write of writes) {
      if (requests.length > 0 && this.#random.chance(0.3)) requests.at(-1)?.push(write);
      else requests.push([write]);
    }
    if (requests.length > 1) this.coverage.groups++;
    this.#execute(host, requests, 0);
  }

  #homeOf(write: Write): Host {
    const fitting = this.#hosts.filter((host) => this.#fits(write, host));
    return this.#random.pick(fitting);
  }

  #fits({ table, token }: Write, { id, replica }: Host): boolean {
    if (table.placement.kind === 'reference') return id === 0;
    return id !== 0 && (token === null || covers(replica.identity.ranges, token as Token));
  }

  #execute(host: Host, requests: readonly (readonly Write[])[], attempt: number): void {
    const { schema, feedIndex } = this.#system.replica;
    // A router's knowledge is sometimes old.
    const old = this.#random.chance(0.1) && schema.version > 0 ? 1 : 0;
    const messages = requests.map(
      (writes): ExecuteRequest => ({
        epoch: 1 as Epoch,
        schema: (schema.version - old) as ExecuteRequest['schema'],
        system: feedIndex,
        shape: 'batch',
        read: false,
        statements: writes.map(({ sql }) => ({ sql })),
      }),
    );
    const step = host.step(this.#fault(), () => this.#tryExecute(host, messages));
    if (host.id === 0 && step.crashed) this.#coordinator.restarted();
    this.#note(`write ${host.id} ${JSON.stringify(messages)}`);
    if (step.crashed) {
      this.coverage.crashes++;
      return;
    }
    const again: (readonly Write[])[] = [];
    step.result.forEach((outcome, index) => {
      const writes = requests[index] as readonly Write[];
      this.#note(
        outcome.kind === 'error' ? `error ${outcome.error.code} ${outcome.error.message}` : outcome.kind,
      );
      if (outcome.kind === 'done') this.#acknowledge(writes, outcome.body);
      else if (outcome.kind === 'error') this.#refused(writes, outcome.error);
      else if (outcome.kind === 'behind') {
        this.#catchUp(host);
        again.push(writes);
      } else if (outcome.kind === 'held') {
        this.coverage.holds++;
        this.#askFate(host, outcome.proposal);
      } else again.push(writes);
    });
    this.#model.reference.set(this.#system.replica.feedIndex, this.#host(0 as PartitionId).fingerprint(true));
    if (again.length > 0 && attempt < 3 && this.#system.replica.schema.version === schema.version) {
      this.coverage.retries++;
      this.#execute(host, again, attempt + 1);
    }
    checkHost(host, this.#model);
  }

  #tryExecute(host: Host, requests: readonly ExecuteRequest[]): ExecuteOutcome[] {
    try {
      return host.replica.execute(requests, this.#now);
    } catch (error) {
      // The commit itself has failed: the object ends, and its clients do not know. Here nothing was written.
      if (host.port.struck !== 'io') throw error;
      host.restart();
      if (host.id === 0) this.#coordinator.restarted();
      return [];
    }
  }

  #acknowledge(writes: readonly Write[], body: string): void {
    this.coverage.writes++;
    if (this.#random.chance(0.3)) this.#outside.readers.wrote(body);
    const { results } = JSON.parse(body) as { results: { columns: string[]; rows: number[][] }[] };
    writes.forEach((write, index) => {
      const result = results[index];
      const ids = result?.columns.length === 1 ? result.rows.map(([id]) => Number(id)) : [];
      this.#model.apply(write, ids);
    });
  }

  #refused(writes: readonly Write[], error: AtollError): void {
    this.coverage.refused++;
    if (error.message.startsWith('injected')) this.coverage.faults++;
    else if (writes.length === 1) this.#model.expectRefusal(writes[0] as Write, error);
  }

  // --- Messages ------------------------------------------------------------------------------------------

  #deliverOne(): void {
    const sent = this.#messages.take();
    if (sent === undefined) return;
    const { to, message } = sent;
    if (message.type === 'answer') {
      this.#coordinator.answered(message.from, message.proposal, message.error);
      return;
    }
    const host = this.#host(to);
    this.#note(`deliver ${message.type} to ${to}`);
    let step: { crashed: boolean };
    try {
      step = host.step(this.#fault(), () => this.#receive(host, message));
    } catch (error) {
      this.#note(`failed ${failureOf(error).message}`);
      if (!failureOf(error).message.startsWith('injected')) throw error;
      this.coverage.faults++;
      host.restart();
      return;
    }
    if (step.crashed) this.coverage.crashes++;
    checkHost(host, this.#model);
  }

  #receive(host: Host, message: Exclude<Message, { type: 'answer' }>): void {
    const { replica } = host;
    if (message.type === 'feed') {
      if (!applyFeed(replica, message.feed, this.#now)) this.#catchUp(host);
    } else if (message.type === 'fate') {
      if (replica.hold === message.proposal) setHold(replica, null, this.#now);
    } else {
      if (replica.systemIndex < message.system) this.#catchUp(host);
      const result = checkSchemaChange(replica, message.proposal, message.change, this.#now);
      const error = refusalOf(result);
      this.#note(`check ${error?.message ?? 'passed'}`);
      this.#messages.send(0 as PartitionId, {
        type: 'answer',
        from: host.id,
        proposal: message.proposal,
        error,
      });
    }
  }

  #catchUp(host: Host): void {
    this.coverage.catchUps++;
    const { replica } = this.#system;
    while (host.replica.systemIndex < replica.feedIndex) {
      applyFeed(host.replica, readFeed(replica, host.replica.systemIndex), this.#now);
    }
  }

  #askFate(host: Host, proposal: number): void {
    if (host.id === 0) return;
    const state = this.#system.stateOf(proposal);
    if (state === 'published') this.#catchUp(host);
    else if (state === 'withdrawn' && host.replica.hold === proposal) setHold(host.replica, null, this.#now);
  }

  // --- Everything else -----------------------------------------------------------------------------------

  #evict(): void {
    // The system partition less often: with it ends what it was deciding.
    const host = this.#random.pick(this.#random.chance(0.8) ? this.#partitions() : this.#hosts);
    this.#note(`evict ${host.id}`);
    this.coverage.evictions++;
    host.restart();
    if (host.id === 0) this.#coordinator.restarted();
    checkHost(host, this.#model);
  }

  #undo(): void {
    const host = this.#random.pick(this.#hosts);
    const before = [host.fingerprint(true), host.fingerprint(false)];
    const step = host.step(this.#fault(['crash']), () =>
      undoAndRedo(host.replica, 1 + this.#random.below(6)),
    );
    if (host.id === 0 && step.crashed) this.#coordinator.restarted();
    if (!step.crashed && step.result > 0) this.coverage.undone++;
    this.#note(`undo ${host.id} ${step.crashed ? 'crashed' : step.result}`);
    const after = [host.fingerprint(true), host.fingerprint(false)];
    if (before.join() !== after.join())
      throw new Error(`undo and redo changed the rows of partition ${host.id}`);
    checkHost(host, this.#model);
  }

  /** No more trouble: everybody gets what is under way, and asks for what was lost. */
  #settle(): void {
    this.#trouble = false;
    this.#messages.trouble = false;
    this.#note('settle');
    while (!this.#messages.empty) this.#deliverOne();
    this.#coordinator.settle();
    while (!this.#messages.empty) this.#deliverOne();
    for (const host of this.#partitions()) {
      this.#catchUp(host);
      if (host.replica.hold !== null) this.#askFate(host, host.replica.hold);
      if (host.replica.hold !== null) throw new Error(`partition ${host.id} holds its writes for ever`);
    }
    if (this.#system.replica.hold !== null) throw new Error('the system partition holds its writes for ever');
  }

  #checkAll(): void {
    for (const host of this.#hosts) checkHost(host, this.#model);
    checkRows(this.#hosts, this.#model);
    const host = this.#random.pick(this.#hosts);
    checkLog(host);
  }
}

/** An index over partitions whose table has rows is built over them in the background, which test/simulation runs; here it is refused. */
function refusalOf(result: CheckResult): AtollError | null {
  if (result.kind === 'failed') return failureOf(result.error);
  if (result.filling.length === 0) return null;
  return new AtollError('needs-global-index', 'the table has rows here');
}
