import { type HostEntry, hostLabel, type ReplicaEntry } from './host-list.ts';
import type { Column } from './terminal/columns.ts';
import { bytes, count, duration } from './terminal/figures.ts';

/** What `atoll status` says of a host, in one line. */
export const SUMMARY: readonly Column<HostEntry>[] = [
  ['host', hostLabel],
  ['role', ({ replicas }) => roles(replicas)],
  ['status', status],
  ['lag', ({ replicas }) => worstLag(replicas)],
  ['latency', ({ latencyMs }) => (latencyMs === undefined ? undefined : duration(latencyMs))],
  ['distance', ({ distanceMs }) => (distanceMs === undefined ? undefined : duration(distanceMs))],
  [
    'direction',
    ({ directionDegrees }) =>
      directionDegrees === undefined ? undefined : `${Math.round(directionDegrees)}°`,
  ],
  ['free', ({ freeBytes }) => (freeBytes === undefined ? undefined : bytes(freeBytes))],
];

/** What `atoll hosts list` says besides, whose names are ids: `accept` and the others take both. */
export const IDENTITY: readonly Column<HostEntry>[] = [
  ['host', ({ id }) => id],
  ['name', ({ name }) => name],
  ['status', status],
  ['votes', votes],
  ['cpu', ({ cpuRating }) => (cpuRating === undefined ? undefined : BigInt(Math.round(cpuRating)))],
  ['unreliable', ({ unreliability }) => unreliability?.toFixed(1)],
  ['address', ({ addresses }) => (addresses.length === 0 ? undefined : addresses.join(' '))],
  ['seen', ({ seenAt }) => (seenAt === undefined ? undefined : ago(seenAt))],
];

/** What `atoll hosts list HOST` says of each replica. */
export const REPLICA: readonly Column<ReplicaEntry>[] = [
  ['partition', ({ partition }) => BigInt(partition)],
  ['role', ({ role }) => role],
  ['state', ({ state }) => state],
  ['commit', ({ matched }) => integer(matched)],
  ['lag', lag],
  ['confirmed', ({ confirmed }) => integer(confirmed)],
  ['awaits purge', ({ awaitingPurge }) => integer(awaitingPurge)],
];

function status({ status: text, draining }: HostEntry): string {
  return draining ? `${text}, draining` : text;
}

/** `leader of 4`, `learner of 4` */
function roles(replicas: readonly ReplicaEntry[]): string | undefined {
  const byRole = Map.groupBy(replicas, ({ role }) => role);
  const parts = [...byRole].map(([role, { length }]) => `${role} of ${length}`);
  return parts.length === 0 ? undefined : parts.join(', ');
}

/** Of the replica that is furthest behind; while some are loaded, how many. */
function worstLag(replicas: readonly ReplicaEntry[]): string | undefined {
  const loading = replicas.filter(({ state }) => state === 'loading').length;
  if (loading > 0) return `loading ${loading}`;
  const [worst] = replicas
    .filter((replica) => lag(replica) !== undefined)
    .sort((a, b) => (b.lagMs ?? 0) - (a.lagMs ?? 0) || (b.lagEntries ?? 0) - (a.lagEntries ?? 0));
  return worst === undefined ? undefined : lag(worst);
}

/**
 * As it was told last, some seconds ago at most: `none`, or commits and time, `3 · 12 ms`. A leader has none. What the leader has
 * committed since then is no lag: one of 0 ms had all.
 */
export function lag({ role, state, lagEntries, lagMs }: ReplicaEntry): string | undefined {
  if (role === 'leader' || (lagEntries === undefined && lagMs === undefined)) return undefined;
  if (state === 'loading') return 'loading';
  if (lagEntries === 0 || lagMs === 0) return 'none';
  const parts = [
    lagEntries === undefined ? [] : count(lagEntries),
    lagMs === undefined ? [] : duration(lagMs),
  ];
  return parts.flat().join(' · ');
}

/** Of those that were asked, how many want it; of no interest once it is a member. */
function votes({ status, votes: cast }: HostEntry): string | undefined {
  if (cast.size === 0 || (status !== 'proposal' && status !== 'refused')) return undefined;
  return `${[...cast.values()].filter(Boolean).length} of ${cast.size}`;
}

/** `4 s ago`, `3 h ago`. Clocks differ: what was seen in the future was seen now. */
function ago(at: number): string {
  const seconds = Math.max(0, Date.now() - at) / 1_000;
  const [length, unit] = UNITS.find(([length]) => seconds >= length) ?? [1, 's'];
  return `${Math.floor(seconds / length)} ${unit} ago`;
}

const UNITS: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
];

function integer(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value);
}
