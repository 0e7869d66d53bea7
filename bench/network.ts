/**
 * Prints what network information of 10,000 partitions and 200 hosts takes on the wire and to use, how long placement
 * takes, and in how many rounds gossip reaches all hosts. `node bench/network.ts`
 */
import type { Epoch, PartitionId, SchemaVersion, Token } from '../src/base/brand.ts';
import { compactNetwork, expandNetwork } from '../src/core/network/compact.ts';
import { cpuRating, cpuWorkload } from '../src/core/network/cpu-rating.ts';
import { Directory } from '../src/core/network/directory.ts';
import { documentOf } from '../src/core/network/gossip-message.ts';
import { Placement, type PlacementHost } from '../src/core/network/placement.ts';
import { closest, LatencyMatrix } from '../src/core/network/topology.ts';
import { TOKEN_COUNT } from '../src/core/schema/token.ts';
import { splitEvenly } from '../src/core/schema/token-map.ts';
import type { NetworkInformation, PartitionInfo } from '../src/protocol/network.ts';
import { type GossipFigures, simulateGossip } from '../test/core/network/gossip-simulation.ts';
import { Random } from '../test/harness/random.ts';
import { median } from './report.ts';

const PARTITIONS = 10_000;
const HOSTS = 200;
const REPLICAS = 3;
const REPEATS = 7;
const LOOKUPS = 1_000_000;
const SEEDS = 20;

const random = new Random(3);
const text = (length: number) =>
  Array.from({ length }, () => '0123456789abcdefghjkmnpqrstvwxyz'[random.below(32)]).join('');

/** Median of the repeats, in ms. */
function time(run: () => void): number {
  run();
  const durations = Array.from({ length: REPEATS }, () => {
    const started = performance.now();
    run();
    return performance.now() - started;
  });
  return median(durations);
}

const names = Array.from({ length: HOSTS }, () => text(16));
const hosts: PlacementHost[] = names.map((host) => ({
  host,
  status: 'read',
  freeBytes: (1 + random.below(2000)) * 2 ** 30,
  heldBytes: 0,
  unreliability: random.next(),
  distanceMs: random.below(2000) / 10,
}));
const latencies = new LatencyMatrix();
names.forEach((host, i) => {
  latencies.set(host, Object.fromEntries(names.slice(i + 1).map((to) => [to, random.below(3000) / 10])));
});

const ids = Array.from({ length: PARTITIONS }, (_, i) => (i + 1) as PartitionId);
const place = (among: readonly PlacementHost[]) => {
  const placement = new Placement(among);
  return ids.map((id) => placement.replicasOf(id, { replicas: REPLICAS }));
};
const placed = place(hosts);
const placedBefore = place(hosts.slice(1));
const [newcomer = ''] = names;
let [moved, movedElsewhere] = [0, 0];
placed.forEach((now, i) => {
  const added = now.filter((host) => !placedBefore[i]?.includes(host));
  moved += added.length;
  movedElsewhere += added.filter((host) => host !== newcomer).length;
});

const ranges = splitEvenly(PARTITIONS);
const partitions: PartitionInfo[] = ids.map((id, i) => ({
  id,
  epoch: (1 + random.below(3)) as Epoch,
  ranges: ranges.slice(i, i + 1),
  status: 'write',
  host: 'edge',
  appliedSchema: 12 as SchemaVersion,
}));
const held = new Map(names.map((name) => [name, [] as number[]]));
placed.forEach((replicas, i) => {
  for (const host of replicas) held.get(host)?.push(i + 1);
});
const network = {
  database: 'main',
  version: 123_456,
  history: text(16),
  schemaVersion: 12 as SchemaVersion,
  systemIndex: 123_456,
  hosts: hosts.map(({ host, status, freeBytes, unreliability }, i) => ({
    host,
    kind: 'agent',
    status,
    publicKey: text(43),
    addresses: [`https://host-${i}.example:8788`],
    replicas: held.get(host) ?? [],
    freeBytes,
    cpuRating: 50 + random.below(100),
    unreliability,
    seen: 1_760_000_000_000 + random.below(60_000),
    identifiers: { start: i * 2 ** 40, end: (i + 1) * 2 ** 40 },
  })),
  partitions,
  latencies: latencies.triangle(names),
  catalogue: {},
} satisfies NetworkInformation & { latencies: (number | null)[] };

const plain = JSON.stringify(network);
const compact = JSON.stringify(compactNetwork(network));
const bytes = (count: number) => `${(count / 1000).toFixed(0)} KB`;
console.log(`NI of ${PARTITIONS} partitions with ${REPLICAS} replicas, ${HOSTS} hosts, all latencies:`);
console.log(`  ${bytes(plain.length)} as plain JSON, ${bytes(compact.length)} compact`);
const packing = time(() => JSON.stringify(compactNetwork(network)));
const unpacking = time(() => expandNetwork(JSON.parse(compact)));
console.log(`  packed in ${packing.toFixed(1)} ms, read in ${unpacking.toFixed(1)} ms`);
console.log(`  directory made in ${time(() => Directory.of(network)).toFixed(1)} ms`);
console.log(`  checked for gossip in ${time(() => documentOf(1, compact)).toFixed(1)} ms`);

const directory = Directory.of(network);
const tokens = Array.from({ length: LOOKUPS }, () => random.below(TOKEN_COUNT) as Token);
let found = 0;
const lookups = time(() => {
  for (const token of tokens) found += directory.ownerOf(token).replicas.length;
});
if (found % REPLICAS !== 0) throw new Error('a partition lacks replicas');
console.log(`  token → partition → replicas: ${((lookups * 1000) / LOOKUPS).toFixed(3)} µs`);

console.log(
  `placement of ${PARTITIONS} × ${REPLICAS} on ${HOSTS}: ${time(() => place(hosts)).toFixed(0)} ms`,
);
const share = ((100 * moved) / (PARTITIONS * REPLICAS)).toFixed(2);
console.log(`  a host that joins gets ${moved} replicas (${share} %), others ${movedElsewhere}`);
const near = time(() => {
  for (const from of names) closest(from, hosts.slice(0, 4), latencies.ms);
});
console.log(`closest of 4: ${((near * 1000) / HOSTS).toFixed(2)} µs`);

for (const count of [10, 100, 1_000, 10_000]) {
  const runs = Array.from({ length: count > 1_000 ? 5 : SEEDS }, (_, seed) =>
    simulateGossip({ hosts: count, seed }),
  );
  const of = (what: keyof GossipFigures) => runs.map((run) => run[what]);
  console.log(
    `gossip, ${count} hosts: ${median(of('rounds'))} rounds (at most ${Math.max(...of('rounds'))} of ${runs.length} seeds), ` +
      `silent after ${median(of('roundsToSilence'))}, ${(median(of('messages')) / count).toFixed(1)} messages a host, ` +
      `${median(of('bodies'))} bodies`,
  );
}

const durations = Array.from({ length: 10 }, () => {
  const started = performance.now();
  cpuWorkload();
  return performance.now() - started;
});
console.log(`cpu rating: ${cpuRating(durations)} (${Math.min(...durations).toFixed(2)} ms)`);
