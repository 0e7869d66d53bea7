import type { PartitionId } from '../../src/base/brand.ts';
import { failureOf } from '../../src/core/execution/failure.ts';
import { readFeed } from '../../src/core/replica/feed.ts';
import { type Proposal, System } from '../../src/core/replica/system.ts';
import { AtollError } from '../../src/protocol/error.ts';
import type { Coverage } from './coverage.ts';
import type { Fault } from './faulty-port.ts';
import type { Host } from './host.ts';
import { checkHost } from './invariants.ts';
import type { Messages } from './messages.ts';
import type { Model } from './model.ts';
import type { Random } from './random.ts';
import { randomDdl } from './workload.ts';

/** What a simulation is made of. */
export interface World {
  readonly random: Random;
  readonly coverage: Coverage;
  readonly messages: Messages;
  readonly model: Model;
  /** By partition; the first is the system partition. */
  readonly hosts: readonly Host[];
  readonly now: number;
  note(event: string): void;
  fault(): { kind: Fault; calls: number } | null;
}

interface Deciding {
  readonly proposal: Proposal;
  readonly waiting: Set<PartitionId>;
  refusal: AtollError | null;
}

/** Takes schema changes through check and publication as the objects' coordinator does, one event at a time. */
export class SimulatedCoordinator {
  readonly #world: World;
  system: System;
  #deciding: Deciding | null = null;
  #names = 0;

  constructor(world: World) {
    this.#world = world;
    this.system = System.open(this.#host.replica);
  }

  get #host(): Host {
    return this.#world.hosts[0] as Host;
  }

  get isDeciding(): boolean {
    return this.#deciding !== null;
  }

  changeSchema(): void {
    if (this.#deciding !== null) throw new Error('one change at a time');
    const statements = randomDdl(this.#world.random, this.system.replica.schema.catalogue, ++this.#names);
    this.#world.note(`ddl ${statements.join('; ')}`);
    const host = this.#host;
    try {
      const step = host.step(this.#world.fault(), () => this.system.propose(statements, this.#world.now));
      if (step.crashed) {
        this.#world.coverage.crashes++;
        this.restarted();
      } else if (step.result !== null) {
        this.#decide(step.result);
      }
    } catch (error) {
      this.#world.note(`refused ${failureOf(error).code} ${failureOf(error).message}`);
      this.#world.coverage.refusedHere++;
    }
    checkHost(host, this.#world.model);
  }

  #decide(proposal: Proposal): void {
    const ids = this.#world.hosts.slice(1).map(({ id }) => id);
    this.#deciding = { proposal, waiting: new Set(ids), refusal: null };
    const system = this.system.replica.feedIndex;
    for (const to of ids) {
      this.#world.messages.send(to, {
        type: 'check',
        proposal: proposal.proposal,
        change: proposal.change,
        system,
      });
    }
  }

  answered(from: PartitionId, proposal: number, error: AtollError | null): void {
    const deciding = this.#deciding;
    if (deciding === null || deciding.proposal.proposal !== proposal) {
      this.#world.coverage.late++;
      return;
    }
    deciding.waiting.delete(from);
    deciding.refusal ??= error;
    if (deciding.waiting.size === 0) this.#end(deciding);
  }

  /** A check's answer does not come: the caller gives up. */
  timeOut(): void {
    const deciding = this.#deciding;
    if (deciding === null || !this.#world.random.chance(0.15)) return;
    this.#world.note('time out');
    deciding.refusal ??= new AtollError('unavailable', 'no answer');
    this.#end(deciding);
  }

  #end({ proposal, refusal }: Deciding): void {
    const host = this.#host;
    const before = this.system.replica.schema.version;
    let step: ReturnType<typeof host.step<AtollError | null>>;
    try {
      step = host.step(this.#world.fault(), () => this.system.decide(proposal, refusal, this.#world.now));
    } catch (error) {
      // The system partition cannot even write that it gives up: it ends, and its next start does.
      this.#world.note(`not decided: ${failureOf(error).message}`);
      host.restart();
      this.restarted();
      return;
    }
    this.#deciding = null;
    if (step.crashed) {
      this.#world.coverage.crashes++;
      this.restarted();
      return;
    }
    this.#world.note(`decided ${step.result?.code ?? 'published'} ${step.result?.message ?? ''}`);
    if (step.result === null) {
      this.#published(proposal, before);
      return;
    }
    this.#world.coverage.withdrawn++;
    for (const { id } of this.#world.hosts.slice(1)) {
      this.#world.messages.send(id, { type: 'fate', proposal: proposal.proposal, state: 'withdrawn' });
    }
    checkHost(host, this.#world.model);
  }

  #published({ change }: Proposal, before: number): void {
    if (this.system.replica.schema.version !== before + 1) throw new Error('published, but not there');
    this.#world.coverage.published++;
    this.#world.model.change(change);
    const host = this.#host;
    this.#world.model.reference.set(host.replica.feedIndex, host.fingerprint(true));
    checkHost(host, this.#world.model);
    this.push();
  }

  /** As the shell's constructor: whoever was deciding is gone. */
  restarted(): void {
    this.system = System.open(this.#host.replica);
    if (this.#deciding !== null) this.#world.coverage.restartedWhileDeciding++;
    this.#deciding = null;
    const undecided = this.system.undecided();
    if (undecided !== null) {
      this.system.withdraw(undecided, 'restarted', this.#world.now);
      this.#world.coverage.withdrawn++;
    }
  }

  /** The feed, from a place that some partitions have passed and others have not reached. */
  push(): void {
    const { replica } = this.system;
    const from = this.#world.random.pick([
      0,
      replica.feedIndex,
      ...this.#world.hosts.map((host) => host.replica.systemIndex),
    ]);
    const feed = readFeed(replica, from);
    for (const { id } of this.#world.hosts.slice(1)) this.#world.messages.send(id, { type: 'feed', feed });
  }

  /** Ends what is still being decided. */
  settle(): void {
    const deciding = this.#deciding;
    if (deciding === null) return;
    deciding.refusal ??= new AtollError('unavailable', 'no answer');
    this.#end(deciding);
  }
}
