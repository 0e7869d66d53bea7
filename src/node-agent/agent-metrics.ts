import type { TransportCounts } from './agent-transport.ts';
import { linkTraffic } from './links/open-link.ts';
import type { Replicas } from './replicas.ts';

/** What an agent adds to `/metrics`: https://prometheus.io/docs/instrumenting/exposition_formats/. */
export function agentMetrics(replicas: Replicas, counts: TransportCounts): string {
  const { copies, links, comparisons } = replicas;
  const now = Date.now();
  const of = (partition: number) => `{partition="${partition}"}`;
  return [
    family('atoll_agent_replicas', 'gauge', 'Replicas that this host holds.', [`${copies.length}`]),
    family(
      'atoll_agent_commit',
      'gauge',
      'Last commit that is applied here.',
      copies.map((copy) => `${of(copy.partition)} ${copy.position?.commitId ?? 0}`),
    ),
    family(
      'atoll_agent_lag_entries',
      'gauge',
      'Commits of the leader that are not applied here, as far as it is known.',
      copies.map(
        (copy) => `${of(copy.partition)} ${Math.max(0, copy.leaderLast - (copy.position?.commitId ?? 0))}`,
      ),
    ),
    family(
      'atoll_agent_lag_seconds',
      'gauge',
      'How long ago the replica had all that its leader had.',
      copies.flatMap((copy) => {
        const lagMs = copy.lagMs(now);
        return lagMs === null ? [] : [`${of(copy.partition)} ${lagMs / 1000}`];
      }),
    ),
    family(
      'atoll_agent_storage_full',
      'gauge',
      'Whether the disk has no space for what the leader sends.',
      copies.map((copy) => `${of(copy.partition)} ${Number(copy.isFull)}`),
    ),
    family(
      'atoll_agent_link_open',
      'gauge',
      'Whether the link to the leader of a partition is open.',
      links.map(([partition, open]) => `${of(partition)} ${Number(open !== null)}`),
    ),
    family('atoll_agent_link_bytes_total', 'counter', 'Bytes of frames over links.', [
      `{direction="received"} ${linkTraffic.received}`,
      `{direction="sent"} ${linkTraffic.sent}`,
    ]),
    family(
      'atoll_agent_comparisons_total',
      'counter',
      'Comparisons of replicas with their leaders, by result.',
      Object.entries(comparisons.counts).map(([result, count]) => `{result="${result}"} ${count}`),
    ),
    family('atoll_agent_messages_total', 'counter', 'Messages of the router, by who has answered.', [
      `{by="local"} ${counts.local}`,
      `{by="leader"} ${counts.leader}`,
      `{by="peer"} ${counts.peer}`,
    ]),
  ].join('');
}

/** `samples`: labels, a space and the value, or the value alone. */
function family(name: string, type: 'gauge' | 'counter', help: string, samples: readonly string[]): string {
  const lines = samples.map((sample) => `${name}${sample.startsWith('{') ? '' : ' '}${sample}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
