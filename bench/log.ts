/**
 * What the commit log costs: rows/s of bulk statements with and without it, single-row commits/s, and
 * replication, on node:sqlite in memory and in a local Durable Object. `node bench/log.ts`.
 * In workerd, whose clock stands still within an event, each step is a request, timed from outside.
 */
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { NodeSqlitePort } from '../src/node-agent/sqlite-port.ts';
import { LOG_SUITES } from './log-workload.ts';

function report(host: string, label: string, count: number, milliseconds: number): void {
  if (label === '') return;
  const rate = Math.round((count / milliseconds) * 1000).toLocaleString('en');
  process.stdout.write(`${host.padEnd(12)} ${label.padEnd(50)} ${rate.padStart(10)}/s\n`);
}

for (const steps of Object.values(LOG_SUITES))
  for (const { label, count, run } of steps(new NodeSqlitePort(':memory:'))) {
    const start = performance.now();
    run();
    report('node:sqlite', label, count, performance.now() - start);
  }

const WORKER = `
import { ObjectSqlitePort } from './src/objects/sqlite-port.ts';
import { LOG_SUITES } from './bench/log-workload.ts';
export class Bench {
  constructor(state) { this.port = new ObjectSqlitePort(state.storage); }
  fetch(request) {
    const [suite, index] = new URL(request.url).pathname.slice(1).split('/');
    this.steps ??= LOG_SUITES[suite](this.port);
    const step = this.steps[index];
    if (step === undefined) return Response.json(null);
    step.run();
    return Response.json({ label: step.label, count: step.count });
  }
}
export default {
  fetch(request, env) {
    const suite = new URL(request.url).pathname.split('/')[1];
    return env.BENCH.get(env.BENCH.idFromName(suite)).fetch(request);
  },
};`;

const root = new URL('..', import.meta.url).pathname;
const bundle = await build({
  stdin: { contents: WORKER, resolveDir: root, loader: 'ts' },
  bundle: true,
  format: 'esm',
  write: false,
});
const workerd = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: bundle.outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-10-01',
    durableObjects: { BENCH: { className: 'Bench', useSQLite: true } },
  }),
);
try {
  for (const suite of Object.keys(LOG_SUITES))
    for (let index = 0; ; index++) {
      const start = performance.now();
      const response = await workerd.dispatchFetch(`http://bench/${suite}/${index}`);
      const step = (await response.json()) as { label: string; count: number } | null;
      if (step === null) break;
      report('workerd', step.label, step.count, performance.now() - start);
    }
} finally {
  await workerd.dispose();
}
