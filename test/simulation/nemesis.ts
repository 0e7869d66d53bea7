import type { SimulatedCluster } from './cluster.ts';
import type { Coverage } from './coverage.ts';
import type { Actor, EventLoop } from './event-loop.ts';

/** What goes wrong, until it is told to stop: each run has other faults and other rates (swarm testing). */
export class Nemesis implements Actor {
  readonly name = 'nemesis';
  clockOffsetMs = 0;
  alive = true;
  readonly #loop: EventLoop;
  readonly #cluster: SimulatedCluster;
  readonly #coverage: Coverage;
  readonly #faults: (() => void)[] = [];
  readonly #pauseMs: number;
  readonly isCalm: boolean;

  constructor(loop: EventLoop, cluster: SimulatedCluster, coverage: Coverage) {
    this.#loop = loop;
    this.#cluster = cluster;
    this.#coverage = coverage;
    const { random } = loop;
    const all = [
      () => this.#crash(),
      () => this.#crash(),
      () => this.#evict(),
      () => this.#supersede(),
      () => this.#killRouter(),
      () => this.#cut(),
      () => this.#jump(),
    ];
    // Sometimes nothing goes wrong: then nobody may have to wait until a deadline.
    this.isCalm = random.chance(0.15);
    if (this.isCalm) {
      this.#pauseMs = 0;
      return;
    }
    for (const fault of all) if (random.chance(0.6)) this.#faults.push(fault);
    this.#pauseMs = random.pick([20, 60, 200, 600]);
    cluster.network.trouble.lost = random.pick([0, 0.005, 0.03, 0.08]);
    cluster.network.trouble.slow = random.pick([0, 0.01, 0.05, 0.2]);
    cluster.network.trouble.repeated = random.pick([0, 0.05, 0.3]);
  }

  start(): void {
    if (!this.alive || this.#faults.length === 0) return;
    const { random } = this.#loop;
    this.#loop.schedule(random.next() * 2 * this.#pauseMs, this, () => {
      random.pick(this.#faults)();
      this.start();
    });
  }

  /** Everything is well from now on. */
  stop(): void {
    this.alive = false;
    const { network, hosts, routers } = this.#cluster;
    network.heal();
    network.trouble.lost = 0;
    network.trouble.slow = 0;
    network.trouble.repeated = 0;
    for (const host of hosts) {
      host.clockOffsetMs = 0;
      host.actor.clockOffsetMs = 0;
    }
    for (const router of routers) router.clockOffsetMs = 0;
  }

  #crash(): void {
    this.#coverage.crashes++;
    this.#loop.random.pick(this.#cluster.hosts).crash(false);
  }

  #evict(): void {
    this.#coverage.evictions++;
    this.#loop.random.pick(this.#cluster.hosts).crash(true);
  }

  #supersede(): void {
    this.#coverage.superseded++;
    this.#loop.random.pick(this.#cluster.hosts).supersede();
  }

  #killRouter(): void {
    this.#cluster.killRouter(this.#loop.random.below(this.#cluster.routers.length));
  }

  #cut(): void {
    const { random } = this.#loop;
    const { network, hosts, routers } = this.#cluster;
    this.#coverage.cuts++;
    const names = [...hosts.map(({ id }) => `partition ${id}`), ...routers.map(({ name }) => name)];
    network.cut(random.pick(names), random.pick(names));
    this.#loop.schedule(random.next() * 1_500, this, () => network.heal());
  }

  /** Drift is slower than what a run takes; steps are what NTP and suspended machines do. */
  #jump(): void {
    const { random } = this.#loop;
    this.#coverage.clockJumps++;
    const offset = random.pick([-400, -100, -30, 30, 100, 200]);
    if (random.chance(0.7)) {
      const host = random.pick(this.#cluster.hosts);
      host.clockOffsetMs = offset;
      host.actor.clockOffsetMs = offset;
    } else random.pick(this.#cluster.routers).clockOffsetMs = offset;
  }
}
