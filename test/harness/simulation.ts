import { createHash } from 'node:crypto';
import type { Epoch, PartitionId, Token } from '../../src/base/brand.ts';
import { failureOf } from '../../src/core/execution/failure.ts';
import { applyFeed, checkSchemaChange, readFeed, setHold } from '../../src/core/replica/feed.ts';
import type { ExecuteOutcome } from '../../src/core/replica/outcome.ts';
import { type Proposal, System } from '../../src/core/replica/system.ts';
import { undoAndRedo } from '../../src/core/replica/undo-redo.ts';
import type { SchemaChange } from '../../src/core/schema/change.ts';
import { covers } from '../../src/core/schema/token-map.ts';
import { AtollError } from '../../src/protocol/error.ts';
import type { ExecuteRequest } from '../../src/protocol/execute.ts';
import type { Feed } from '../../src/protocol/feed.ts';
import type { Fault } from './faulty-port.ts';
import { Host } from './host.ts';
import { checkHost, checkLog, checkRows } from './invariants.ts';
import { Model } from './model.ts';
import { Random } from './random.ts';
import { randomDdl, randomWrite, type Write } from './workload.ts';

/** What a run must have met; a zero over all seeds fails. */
export const COVERAGE = [
  'writes',
  'refused',
  'groups',
  'crashes',
  'faults',
  'evictions',
  'published',
  'withdrawn',
  'refusedHere',
  'catchUps',
  'holds',
  'retries',
  'undone',
  'lost',
  'repeated',
  'late',
  'restartedWhileDeciding',
] as const;
export type Coverage = Record<(typeof COVERAGE)[number], number>;

type Message =
  | {
      readonly type: 'check';
      readonly proposal: number;
      readonly change: SchemaChange;
      readonly system: number;
    }
  | { readonly type: 'fate'; readonly proposal: number; readonly state: 'withdrawn' }
  | { readonly type: 'feed'; readonly feed: Feed }
  | {
      readonly type: 'answer';
      readonly from: PartitionId;
      readonly proposal: number;
      readonly error: AtollError | null;
    };

interface Sent {
  readonly to: PartitionId;
  readonly message: Message;
}

interface Deciding {
  readonly proposal: Proposal;
  readonly waiting: Set<PartitionId>;
  refusal: AtollError | null;
}

/** A cluster in one thread: everything that happens follows from the seed. */
export class Simulation {
  readonly coverage = Object.fromEntries(COVERAGE.map((name) => [name, 0])) as Coverage;
  readonly #random: Random;
  readonly #trace = createHash('sha256');
  readonly #events: string[] = [];
  readonly #hosts: Host[];
  readonly #model = new Model();
  #system: System;
  #deciding: Deciding | null = null;
  #messages: Sent[] = [];
  #now = 1_700_000_000_000;
  #names = 0;
  /** Whether anything goes wrong: off at the end, so that everything comes to rest. */
  #trouble = true;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const partitions = 1 + this.#random.below(4);
    const system = new Host(0 as PartitionId, (port) => {
      const foundation = { database: 'main', history: 'h', partitions, settings: {} };
      return System.found(port, foundation, this.#now).replica;
    });
    this.#system = System.open(system.replica);
    this.#hosts = [system, ...this.#system.uncreated().map((identity) => Host.of(identity))];
    for (const host of this.#partitions()) this.#system.confirmCreated(host.id, this.#now);
    this.#model.reference.set(0, system.fingerprint(true));
  }

  /** The last events, for a report. */
  get events(): readonly string[] {
    return this.#events.slice(-60);
  }

  /** The same for the same seed. */
  run(steps: number): string {
    for (let i = 0; i < steps; i++) {
      // First a few tables, then whatever comes.
      if (i < 12) this.#changeSchema();
      else this.#step();
      if (i % 40 === 39) this.#checkAll();
    }
    this.#settle();
    this.#checkAll();
    for (const host of this.#hosts) checkLog(host);
    return this.#trace.digest('hex');
  }

  #step(): void {
    // Time stands still, goes on, and steps back.
    this.#now += this.#random.pick([0, 0, 1, 5, 1000, -700]);
    const what = this.#random.below(100);
    if (what < 40) this.#write();
    else if (what < 50) this.#changeSchema();
    else if (what < 75) this.#deliverOne();
    else if (what < 80) this.#timeOut();
    else if (what < 87) this.#evict();
    else if (what < 92) this.#undo();
    else this.#push();
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
    const host = this.#homeOf(first);
    const writes = [first];
    const more = this.#random.chance(0.4) ? this.#random.below(4) : 0;
    for (let i = 0; i < more; i++) {
      const next = randomWrite(this.#random, catalogue);
      if (this.#fits(next, host)) writes.push(next);
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
    if (host.id === 0 && step.crashed) this.#systemRestarted();
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
      if (host.id === 0) this.#systemRestarted();
      return [];
    }
  }

  #acknowledge(writes: readonly Write[], body: string): void {
    this.coverage.writes++;
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

  // --- Changing the schema -------------------------------------------------------------------------------

  #changeSchema(): void {
    if (this.#deciding !== null) {
      this.#deliverOne();
      return;
    }
    const statements = randomDdl(this.#random, this.#system.replica.schema.catalogue, ++this.#names);
    this.#note(`ddl ${statements.join('; ')}`);
    const host = this.#host(0 as PartitionId);
    try {
      const step = host.step(this.#fault(), () => this.#system.propose(statements, this.#now));
      if (step.crashed) {
        this.coverage.crashes++;
        this.#systemRestarted();
      } else if (step.result !== null) {
        this.#decide(step.result);
      }
    } catch (error) {
      this.#note(`refused ${failureOf(error).code} ${failureOf(error).message}`);
      this.coverage.refusedHere++;
    }
    checkHost(host, this.#model);
  }

  #decide(proposal: Proposal): void {
    const ids = this.#partitions().map(({ id }) => id);
    this.#deciding = { proposal, waiting: new Set(ids), refusal: null };
    const system = this.#system.replica.feedIndex;
    for (const to of ids) {
      this.#send(to, { type: 'check', proposal: proposal.proposal, change: proposal.change, system });
    }
  }

  #answered(from: PartitionId, proposal: number, error: AtollError | null): void {
    const deciding = this.#deciding;
    if (deciding === null || deciding.proposal.proposal !== proposal) {
      this.coverage.late++;
      return;
    }
    deciding.waiting.delete(from);
    deciding.refusal ??= error;
    if (deciding.waiting.size === 0) this.#end(deciding);
  }

  /** A check's answer does not come: the caller gives up. */
  #timeOut(): void {
    const deciding = this.#deciding;
    if (deciding === null || !this.#random.chance(0.15)) return;
    this.#note('time out');
    deciding.refusal ??= new AtollError('unavailable', 'no answer');
    this.#end(deciding);
  }

  #end({ proposal, refusal }: Deciding): void {
    const host = this.#host(0 as PartitionId);
    const before = this.#system.replica.schema.version;
    let step: ReturnType<typeof host.step<AtollError | null>>;
    try {
      step = host.step(this.#fault(), () => this.#system.decide(proposal, refusal, this.#now));
    } catch (error) {
      // The system partition cannot even write that it gives up: it ends, and its next start does.
      this.#note(`not decided: ${failureOf(error).message}`);
      host.restart();
      this.#systemRestarted();
      return;
    }
    this.#deciding = null;
    if (step.crashed) {
      this.coverage.crashes++;
      this.#systemRestarted();
      return;
    }
    this.#note(`decided ${step.result?.code ?? 'published'} ${step.result?.message ?? ''}`);
    if (step.result === null) {
      this.#published(proposal, before);
      return;
    }
    this.coverage.withdrawn++;
    for (const { id } of this.#partitions()) {
      this.#send(id, { type: 'fate', proposal: proposal.proposal, state: 'withdrawn' });
    }
    checkHost(host, this.#model);
  }

  #published({ change }: Proposal, before: number): void {
    if (this.#system.replica.schema.version !== before + 1) throw new Error('published, but not there');
    this.coverage.published++;
    this.#model.change(change);
    const host = this.#host(0 as PartitionId);
    this.#model.reference.set(host.replica.feedIndex, host.fingerprint(true));
    checkHost(host, this.#model);
    this.#push();
  }

  /** As the shell's constructor: whoever was deciding is gone. */
  #systemRestarted(): void {
    this.#system = System.open(this.#host(0 as PartitionId).replica);
    if (this.#deciding !== null) this.coverage.restartedWhileDeciding++;
    this.#deciding = null;
    const undecided = this.#system.undecided();
    if (undecided !== null) {
      this.#system.withdraw(undecided, 'restarted', this.#now);
      this.coverage.withdrawn++;
    }
  }

  // --- Messages ------------------------------------------------------------------------------------------

  #send(to: PartitionId, message: Message): void {
    if (this.#trouble && this.#random.chance(0.03)) {
      this.coverage.lost++;
      return;
    }
    this.#messages.push({ to, message });
    if (this.#trouble && this.#random.chance(0.08)) {
      this.coverage.repeated++;
      this.#messages.push({ to, message });
    }
  }

  /** The feed, from a place that some partitions have passed and others have not reached. */
  #push(): void {
    const { replica } = this.#system;
    const from = this.#random.pick([
      0,
      replica.feedIndex,
      ...this.#hosts.map((host) => host.replica.systemIndex),
    ]);
    const feed = readFeed(replica, from);
    for (const { id } of this.#partitions()) this.#send(id, { type: 'feed', feed });
  }

  #deliverOne(): void {
    if (this.#messages.length === 0) return;
    const [sent] = this.#messages.splice(this.#random.below(this.#messages.length), 1) as [Sent];
    const { to, message } = sent;
    if (message.type === 'answer') {
      this.#answered(message.from, message.proposal, message.error);
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
      const error = result.kind === 'failed' ? failureOf(result.error) : null;
      this.#note(`check ${error?.message ?? 'passed'}`);
      this.#send(0 as PartitionId, { type: 'answer', from: host.id, proposal: message.proposal, error });
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
    if (host.id === 0) this.#systemRestarted();
    checkHost(host, this.#model);
  }

  #undo(): void {
    const host = this.#random.pick(this.#hosts);
    const before = [host.fingerprint(true), host.fingerprint(false)];
    const step = host.step(this.#fault(['crash']), () =>
      undoAndRedo(host.replica, 1 + this.#random.below(6)),
    );
    if (host.id === 0 && step.crashed) this.#systemRestarted();
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
    this.#note('settle');
    while (this.#messages.length > 0) this.#deliverOne();
    if (this.#deciding !== null) {
      this.#deciding.refusal ??= new AtollError('unavailable', 'no answer');
      this.#end(this.#deciding);
    }
    while (this.#messages.length > 0) this.#deliverOne();
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
