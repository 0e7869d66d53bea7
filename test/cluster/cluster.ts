import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { present } from '../../src/base/assert.ts';
import { bundleWorker } from '../../src/cli/cluster/bundle.ts';
import { readWorkerConfiguration } from '../../src/cli/cluster/configuration.ts';
import { miniflareOptions } from '../../src/cli/cluster/miniflare-options.ts';
import { startOrphanGuard, workerdOf } from '../../src/cli/cluster/orphan-guard.ts';
import { DEADLINE_HEADER } from '../../src/protocol/rpc.ts';
import { exchange } from './exchange.ts';

/** The static admin token of every test cluster. */
export const TOKEN = 'admin-of-the-tests';
/** Of the cluster. */
export const SECRET = 'secret';

export interface TestClusterOptions {
  readonly partitions?: number;
  readonly corsOrigins?: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; empty if it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
  readonly json: any;
}

/**
 * Atoll's Worker and objects in workerd, on a free loopback port, their data in a temporary directory. Start-up costs
 * about two seconds: one for a test file.
 */
export class TestCluster {
  readonly #directory = mkdtempSync(join(tmpdir(), 'atoll-cluster-'));
  readonly #options: TestClusterOptions;
  readonly #guard = startOrphanGuard();
  #miniflare: Miniflare | null = null;
  #workerd = 0;
  #url = '';
  /** Called when Miniflare has replaced a workerd that was killed. */
  #replaced: () => void = () => undefined;
  /** What the Worker and its objects have written to the console. */
  readonly log: string[] = [];

  private constructor(options: TestClusterOptions) {
    this.#options = options;
  }

  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    await cluster.#launch();
    const reply = await cluster.post('/v1/init', { partitions: options.partitions ?? 4 });
    if (reply.status !== 200) throw new Error(`init: ${reply.text}`);
    return cluster;
  }

  get url(): string {
    return this.#url;
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Reply> {
    return this.request(path, { method: 'POST', body: JSON.stringify(body), ...init });
  }

  get(path: string, init: RequestInit = {}): Promise<Reply> {
    return this.request(path, init);
  }

  /** As the admin, unless `init` has headers of its own. */
  async request(path: string, init: RequestInit): Promise<Reply> {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const reply = await fetch(this.#url + path, { headers, ...init });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, text, json: parsed(text) };
  }

  /** One statement; anything but 200 throws, with the whole answer. */
  async query(sql: string, args?: unknown, options: Record<string, unknown> = {}): Promise<Reply> {
    const reply = await this.post('/v1/query', { sql, args, ...options });
    if (reply.status !== 200) throw new Error([`${sql}: ${reply.text}`, ...this.log.slice(-5)].join('\n'));
    return reply;
  }

  /** Its rows alone. */
  async rows(sql: string, args?: unknown): Promise<unknown[][]> {
    return (await this.query(sql, args)).json.rows;
  }

  /** A message to one partition's object, past the router. */
  async rpc(partition: number, message: string, body: unknown = {}): Promise<Reply> {
    const headers = { [DEADLINE_HEADER]: String(Date.now() + 10_000) };
    const url = `${this.#url}/rpc/${partition}/${message}`;
    const reply = await exchange(url, headers, JSON.stringify(body));
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, text, json: parsed(text) };
  }

  /** The object loses all but what is stored, as when the platform moves it. */
  async reset(partition: number): Promise<void> {
    await this.rpc(partition, 'reset');
  }

  /** SIGKILL of workerd; resolves when Miniflare has started the next one, on the same port and data. */
  async kill(): Promise<void> {
    const back = new Promise<void>((resolve) => {
      this.#replaced = resolve;
    });
    process.kill(this.#workerd, 'SIGKILL');
    await back;
  }

  /** Stops in order and starts again on the same data. */
  async restart(): Promise<void> {
    await this.#miniflare?.dispose();
    await this.#launch();
  }

  async dispose(): Promise<void> {
    await this.#miniflare?.dispose();
    this.#guard.release();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async #launch(): Promise<void> {
    const configuration = readWorkerConfiguration();
    const options = miniflareOptions(
      {
        configuration: { ...configuration, vars: { ATOLL_CORS_ORIGINS: this.#options.corsOrigins ?? '' } },
        port: 0,
        storage: this.#directory,
        token: TOKEN,
        secret: SECRET,
        log: (line) => this.log.push(line),
      },
      await script(),
    );
    const started = (): void => {
      this.#workerd = present(workerdOf(process.pid), () => 'workerd runs');
      this.#guard.watch();
    };
    this.#miniflare = new Miniflare({
      ...options,
      unsafeHandleRuntimeRestart: () => {
        started();
        this.#replaced();
      },
    });
    this.#url = (await this.#miniflare.ready).origin;
    started();
  }
}

let bundled: Promise<string> | null = null;

function script(): Promise<string> {
  bundled ??= bundleWorker(fileURLToPath(new URL('./worker.ts', import.meta.url)));
  return bundled;
}

/** The text as JSON; an empty object if it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
