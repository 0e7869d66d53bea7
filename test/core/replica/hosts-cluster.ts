import type { Heartbeat, ReplicaReport } from '../../../src/core/network/heartbeat.ts';
import type { HostOffer } from '../../../src/core/network/joining.ts';
import { EDGE } from '../../../src/core/network/votes.ts';
import { proposeHost, recordVote } from '../../../src/core/replica/hosts.ts';
import { partitionsOf } from '../../../src/core/replica/hosts-assignment.ts';
import { type HeartbeatOutcome, HostMonitor } from '../../../src/core/replica/hosts-monitor.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { System } from '../../../src/core/replica/system.ts';
import type { PortValue, SqlitePort } from '../../../src/core/sqlite/port.ts';

export const START = Date.UTC(2026, 0, 1);
export const GB = 2 ** 30;

/** Ids of hosts in their order. */
export const hostId = (letter: string): string => letter.repeat(16);

/** A system partition and its monitor on a clock that the test moves. */
export class HostCluster {
  readonly port: SqlitePort;
  system: System;
  monitor: HostMonitor;
  now = START;

  private constructor(port: SqlitePort, system: System) {
    this.port = port;
    this.system = system;
    this.monitor = new HostMonitor(system, this.now);
  }

  /** Of a database that exists. */
  static on(port: SqlitePort, system: System): HostCluster {
    return new HostCluster(port, system);
  }

  static found(port: SqlitePort, partitions = 3): HostCluster {
    const foundation = { database: 'main', history: 'h', partitions, settings: {} };
    return new HostCluster(port, System.found(port, foundation, START));
  }

  /** Forgets all that is in memory. */
  restart(): void {
    const replica = Replica.open(this.port);
    if (replica === null) throw new Error('the file is a replica');
    this.system = System.open(replica);
    this.monitor = new HostMonitor(this.system, this.now);
  }

  offer(host: string, more: Partial<HostOffer> = {}): HostOffer {
    return {
      host,
      name: null,
      publicKey: `key of ${host}`,
      addresses: [`http://${host}:1`],
      database: 'main',
      history: null,
      time: this.now,
      freeBytes: 100 * GB,
      totalBytes: 200 * GB,
      cpuRating: 100,
      ...more,
    };
  }

  propose(host: string, more: Partial<HostOffer> = {}) {
    return proposeHost(this.system, this.offer(host, more), this.now, this.monitor.heardFrom());
  }

  vote(proposal: number, accept: boolean, ...voters: string[]) {
    return voters.map((voter) => recordVote(this.system, { proposal, voter, accept }, this.now));
  }

  /** Proposed, and accepted by everybody. */
  join(...hosts: string[]): void {
    for (const host of hosts) {
      const outcome = this.propose(host);
      if (outcome.kind !== 'proposed') throw new Error(`${host}: ${JSON.stringify(outcome)}`);
      this.vote(outcome.ballot.proposal, true, ...outcome.ballot.electorate);
    }
  }

  beat(host: string, replicas: readonly ReplicaReport[], more: Partial<Heartbeat> = {}): HeartbeatOutcome {
    const beat: Heartbeat = {
      time: this.now,
      freeBytes: 90 * GB,
      totalBytes: 200 * GB,
      heldBytes: GB,
      cpuRating: 100,
      latencies: { [EDGE]: 10 },
      replicas,
      ...more,
    };
    return this.monitor.heartbeat(host, beat, this.now);
  }

  /** A heartbeat that says that all it should have is in sync. */
  beatInSync(...hosts: string[]): void {
    for (const host of hosts) {
      const partitions = partitionsOf(this.port, host);
      this.beat(
        host,
        partitions.map((partition) => ({ partition, matched: 7, leaderLast: 7, lagMs: 0 })),
      );
    }
  }

  /** Time passes; `alive` send heartbeats all the while. */
  pass(ms: number, ...alive: string[]) {
    const end = this.now + ms;
    const turns = [];
    while (this.now < end) {
      this.now = Math.min(end, this.now + 5_000);
      this.beatInSync(...alive);
      turns.push(...this.monitor.tick(this.now, () => 0.5));
    }
    return turns;
  }

  status(host: string): string | undefined {
    const [[status] = []] = this.rows('SELECT status FROM atoll_hosts WHERE host = ?', host);
    return status === undefined ? undefined : String(status);
  }

  rows(sql: string, ...bindings: PortValue[]): readonly (readonly PortValue[])[] {
    return this.port.query(sql, ...bindings).rows;
  }

  get commits(): number {
    return Number(this.rows('SELECT last_commit_id FROM _atoll_head')[0]?.[0]);
  }
}
