import type { HostReplicaView, HostsView, HostView, ResponsibilityView } from '../../protocol/host-view.ts';
import { readHead } from '../log/tables.ts';
import { isAccepted } from '../network/status.ts';
import { directionOf, LatencyMatrix } from '../network/topology.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { replicasWanted } from './hosts-assignment.ts';
import { readLastBallot } from './hosts-ballots.ts';
import type { HostMonitor } from './hosts-monitor.ts';
import { type AgentRow, isoOf, numberOf, readAgents } from './hosts-rows.ts';
import { type ProgressRow, readProgressRows } from './hosts-samples.ts';
import { kindOfLeader, leaderName, leadingHost } from './leading-host.ts';
import { networkVersion } from './network-version.ts';
import type { System } from './system.ts';

/** Every host that ever proposed itself, as people and tools see it: the tables, and what the monitor knows that is newer. */
export function hostsView(system: System, monitor: HostMonitor, now: number): HostsView {
  const { port } = system.replica;
  const agents = readAgents(port);
  const members = agents.filter(({ status }) => isAccepted(status)).map(({ host }) => host);
  const progress = newestProgress(port, monitor);
  const leader = leadingHost(port);
  const latencies = newestLatencies(port, [leader, ...members], monitor);
  const waiting = new Purge(progress);
  const samples = readSamples(port);
  const [reference] = members;
  const viewOf = (agent: AgentRow): HostView => {
    const { host, name, status, draining, addresses, range } = agent;
    const own = progress.filter((each) => each.host === host);
    const pulse = monitor.pulseOf(host);
    const sample = samples.get(host);
    return {
      host,
      name,
      kind: 'agent',
      status,
      statusSince: isoOf(agent.statusSince),
      reason: readReason(port, host),
      draining,
      addresses,
      seenAt: pulse === null ? (sample?.seenAt ?? null) : isoOf(pulse.seenAt),
      identifiers: range,
      replicas: own.map(replicaView),
      latencies: latenciesOf(latencies, host, [leader, ...members]),
      distanceMs: latencies.ms(host, leader),
      direction:
        reference === undefined || !members.includes(host)
          ? null
          : directionOf(latencies.ms, leader, reference, host),
      freeBytes: pulse?.beat.freeBytes ?? sample?.freeBytes ?? null,
      cpuRating: pulse?.beat.cpuRating ?? sample?.cpuRating ?? null,
      unreliability: monitor.scoreOf(host, now),
      votes: readLastBallot(port, host)?.votes ?? {},
      responsibility: own.map((each) => waiting.of(each)),
    };
  };
  return {
    version: networkVersion(port),
    replicas: replicasWanted(system),
    hosts: [leaderView(system, leader, latencies, members), ...agents.map(viewOf)],
  };
}

function leaderView(
  system: System,
  leader: string,
  latencies: LatencyMatrix,
  members: readonly string[],
): HostView {
  const { lastCommitId } = readHead(system.replica.port);
  const leads = (partition: number, matched: number | null): HostReplicaView => ({
    partition,
    role: 'leader',
    state: null,
    matched,
    lagEntries: 0,
    lagMs: 0,
  });
  return {
    host: leader,
    name: leaderName(system.replica.port),
    kind: kindOfLeader(leader),
    status: 'write',
    statusSince: null,
    reason: null,
    draining: false,
    addresses: [],
    seenAt: null,
    identifiers: null,
    replicas: [leads(0, lastCommitId), ...system.partitionIds().map((partition) => leads(partition, null))],
    latencies: latenciesOf(latencies, leader, [leader, ...members]),
    distanceMs: 0,
    direction: null,
    freeBytes: null,
    cpuRating: null,
    unreliability: 0,
    votes: {},
    responsibility: [],
  };
}

function replicaView({ partition, state, matched, leaderLast, lagMs }: ProgressRow): HostReplicaView {
  return {
    partition,
    role: 'learner',
    state,
    matched,
    lagEntries: leaderLast === null ? null : Math.max(0, leaderLast - matched),
    lagMs,
  };
}

/**
 * The system partition's own log is here: nobody has to report how long it is. What was reported of a replica that is loading may be
 * of one that the host had before, and let go of.
 */
function newestProgress(port: SqlitePort, monitor: HostMonitor): ProgressRow[] {
  const { lastCommitId } = readHead(port);
  return readProgressRows(port).map((row) => {
    const reports = monitor.pulseOf(row.host)?.beat.replicas;
    const report = reports?.find(({ partition }) => partition === row.partition);
    const newest = report === undefined || row.state === 'loading' ? row : { ...row, ...report };
    return row.partition === 0 ? { ...newest, leaderLast: lastCommitId } : newest;
  });
}

function newestLatencies(port: SqlitePort, hosts: readonly string[], monitor: HostMonitor): LatencyMatrix {
  const measured = new Map<string, Record<string, number>>();
  for (const [host, other, ms] of port.query('SELECT host, other, ms FROM atoll_latencies').rows) {
    const row = measured.get(String(host)) ?? {};
    row[String(other)] = Number(ms);
    measured.set(String(host), row);
  }
  const matrix = new LatencyMatrix();
  for (const host of hosts) {
    matrix.set(host, { ...measured.get(host), ...monitor.pulseOf(host)?.beat.latencies });
  }
  return matrix;
}

function latenciesOf(
  latencies: LatencyMatrix,
  host: string,
  hosts: readonly string[],
): Record<string, number> {
  const known = hosts.flatMap((other): [string, number][] => {
    const ms = other === host ? null : latencies.ms(host, other);
    return ms === null ? [] : [[other, ms]];
  });
  return Object.fromEntries(known);
}

/** What consensus deletion waits for: an entry is purged when every host that is responsible has confirmed it. */
class Purge {
  readonly #byPartition = new Map<number, readonly ProgressRow[]>();

  constructor(progress: readonly ProgressRow[]) {
    for (const row of progress) {
      this.#byPartition.set(row.partition, [...(this.#byPartition.get(row.partition) ?? []), row]);
    }
  }

  /** A host that loads a replica gets a snapshot: no log is kept for it. */
  of({ partition, host, state, matched }: ProgressRow): ResponsibilityView {
    const all = this.#byPartition.get(partition) ?? [];
    const last = Math.max(0, ...all.map(({ leaderLast }) => leaderLast ?? 0));
    const others = all.filter((each) => each.host !== host && each.state !== 'loading');
    const until = Math.min(last, ...others.map((each) => each.matched));
    const awaitingPurge = state === 'loading' ? 0 : Math.max(0, until - matched);
    return { partition, confirmed: matched, awaitingPurge };
  }
}

interface Sample {
  readonly seenAt: string | null;
  readonly freeBytes: number | null;
  readonly cpuRating: number | null;
}

function readSamples(port: SqlitePort): Map<string, Sample> {
  const { rows } = port.query('SELECT host, seen_at, free_bytes, cpu_rating FROM atoll_host_metrics');
  return new Map(
    rows.map(([host, seen, free, cpu]: readonly PortValue[]) => [
      String(host),
      {
        seenAt: seen === null ? null : String(seen),
        freeBytes: numberOf(free),
        cpuRating: numberOf(cpu),
      },
    ]),
  );
}

/** Why the host has its present status, as its last event says. */
function readReason(port: SqlitePort, host: string): string | null {
  const [[reason] = []] = port.query(
    `SELECT reason FROM atoll_host_events WHERE host = ? AND status_before IS NOT status_after
     ORDER BY number DESC LIMIT 1`,
    host,
  ).rows;
  return reason === null || reason === undefined ? null : String(reason);
}
