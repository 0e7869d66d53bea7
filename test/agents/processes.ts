import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { workerdOf } from '../../src/cli/cluster/orphan-guard.ts';
import { type HostKey, importHostKey } from '../../src/rpc/host-key.ts';
import { type Ended, ROOT, type Running, type RunOptions, start } from '../cli/process.ts';

export const TOKEN = 'admin-of-the-tests';
export const SECRET = 'the secret of the tests';

/** Not bin/atoll, which under an older Node starts another process: a signal would reach the wrong one. */
const PROGRAM = [process.execPath, join(ROOT, 'src', 'cli', 'main.ts')];

/** The command line as one process. */
export function atoll(args: readonly string[], options: RunOptions = {}): Running {
  return start(args, {
    program: PROGRAM,
    ...options,
    env: { ATOLL_TOKEN: TOKEN, ATOLL_SECRET: SECRET, ...options.env },
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Signals, and waits for the end. */
export async function end({ child, ended }: Running, signal: NodeJS.Signals): Promise<Ended> {
  child.kill(signal);
  return ended;
}

/** `atoll dev`: workerd with the Worker and all objects, and the process that keeps it running. */
export class EdgeProcess {
  readonly port: number;
  readonly data: string;
  readonly #running: Running;
  /** What the Worker, the objects and workerd have logged. */
  log = '';

  private constructor(port: number, data: string, running: Running) {
    this.port = port;
    this.data = data;
    this.#running = running;
    running.child.stderr?.on('data', (text: string) => {
      this.log += text;
    });
  }

  static async start(data: string, partitions: number, replicas: number): Promise<EdgeProcess> {
    const port = await freePort();
    const size = ['--partitions', String(partitions), '--replicas', String(replicas)];
    const running = atoll(['dev', '--port', String(port), '--data', data, ...size]);
    await running.seen(/^ready /m);
    return new EdgeProcess(port, data, running);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** SIGKILL; the next workerd is started by `atoll dev`. False: there is none at this moment. */
  killWorkerd(): boolean {
    const pid = workerdOf(this.#running.child.pid ?? 0);
    if (pid === undefined) return false;
    process.kill(pid, 'SIGKILL');
    return true;
  }

  async stop(): Promise<Ended> {
    return end(this.#running, 'SIGTERM');
  }
}

/** Who an agent is, by its data directory. */
export function hostKeyOf(data: string): Promise<HostKey> {
  return importHostKey(JSON.parse(readFileSync(join(data, 'host.json'), 'utf8')).key);
}

export interface AgentOptions {
  readonly name: string;
  /** Base URLs. */
  readonly join: readonly string[];
  readonly data: string;
  /** 0 for any. */
  readonly port?: number;
  readonly more?: readonly string[];
  readonly run?: RunOptions;
}

/** `atoll agent`, which may be ended and started again. */
export class AgentProcess {
  readonly #options: AgentOptions;
  #running: Running | null = null;
  /** Its log of all starts. */
  log = '';
  /** How it ended, each time that nobody had ended it. */
  readonly crashes: string[] = [];
  #isEnding = false;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get data(): string {
    return this.#options.data;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** The process of the present start. */
  get running(): Running {
    if (this.#running === null) throw new Error(`${this.name} does not run`);
    return this.#running;
  }

  /** Resolves with where it serves, as soon as it does. */
  async start(): Promise<string> {
    const { name, join: seeds, data, port = 0, more = [], run } = this.#options;
    const where = ['--join', seeds.join(','), '--data', data, '--port', String(port)];
    const running = atoll(['agent', ...where, '--name', name, ...more], run);
    this.#running = running;
    this.#isEnding = false;
    running.child.stderr?.on('data', (text: string) => {
      this.log += text;
    });
    void running.ended.then(({ code, signal }) => {
      if (this.#running !== running) return;
      this.#running = null;
      if (!this.#isEnding) this.crashes.push(`${code ?? signal}: ${this.log.slice(-2_000)}`);
    });
    return (await running.seen(/^agent (\S+)$/m))[1] as string;
  }

  /** Resolves with where it serves, once it has all that the leaders have. */
  async ready(): Promise<string> {
    return (await this.running.seen(/^ready (\S+)$/m))[1] as string;
  }

  async end(signal: NodeJS.Signals): Promise<Ended | null> {
    this.#isEnding = true;
    return this.#running === null ? null : end(this.#running, signal);
  }

  /** Its disk is empty: only while it does not run. */
  wipe(): void {
    rmSync(this.data, { recursive: true, force: true, maxRetries: 5 });
  }
}
