import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { bundleWorker } from '../../src/cli/cluster/bundle.ts';
import { readWorkerConfiguration } from '../../src/cli/cluster/configuration.ts';

export const TOKEN = 'bench';

export interface BenchCluster {
  readonly url: string;
  query(sql: string, args?: readonly unknown[]): Promise<{ rows: unknown[][] }>;
  batch(statements: readonly string[]): Promise<unknown>;
  stop(): Promise<void>;
}

/** Atoll, a bare Worker with an object, and D1, side by side in one workerd. */
export async function startBenchCluster(
  partitions: number,
  storage: string,
  inspectorPort?: number,
): Promise<BenchCluster> {
  const { compatibilityDate } = readWorkerConfiguration();
  const script = await bundleWorker(fileURLToPath(new URL('./worker.ts', import.meta.url)));
  const object = (exportName: string) => ({ type: 'durable-object' as const, worker: 'bench', exportName });
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    resourcePersistencePath: storage,
    ...(inspectorPort !== undefined && { inspectorPort }),
    workers: [
      {
        config: {
          name: 'bench',
          compatibilityDate,
          compatibilityFlags: [],
          manifest: {
            mainModule: 'index.js',
            modulesRoot: storage,
            modules: { 'index.js': { type: 'esm', contents: script } },
          },
          env: {
            ATOLL_TOKEN: { type: 'text', value: TOKEN },
            PARTITION: object('PartitionObject'),
            BARE: object('BareObject'),
            D1: { type: 'd1', id: 'bench' },
          },
          exports: {
            PartitionObject: { type: 'durable-object', storage: 'sqlite' },
            BareObject: { type: 'durable-object', storage: 'sqlite' },
          },
        },
      },
    ],
  });
  const url = (await miniflare.ready).origin;
  const post = async (path: string, body: unknown): Promise<{ rows: unknown[][] }> => {
    const reply = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify(body),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${path}: ${text}`);
    return JSON.parse(text) as { rows: unknown[][] };
  };
  await post('/v1/init', { partitions });
  return {
    url,
    query: (sql, args = []) => post('/v1/query', { sql, args }),
    batch: (statements) => post('/v1/batch', { statements: statements.map((sql) => ({ sql })) }),
    stop: () => miniflare.dispose(),
  };
}
