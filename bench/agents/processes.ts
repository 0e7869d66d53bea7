import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export const TOKEN = 'bench';
const SECRET = 'the secret of the benchmark';
const ATOLL = fileURLToPath(new URL('../../bin/atoll', import.meta.url));
/** An agent that has not said so in this time will not, ms. */
const PATIENCE_MS = 60_000;

/** A process of the command line, and what it has printed. */
export class Atoll {
  readonly #child: ChildProcess;
  #output = '';
  #ended: Promise<void>;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [ATOLL, ...args], {
      env: { ...process.env, ATOLL_TOKEN: TOKEN, ATOLL_SECRET: SECRET },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
    this.#ended = new Promise((resolve) => this.#child.once('exit', () => resolve()));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get output(): string {
    return this.#output;
  }

  /** The first match in what is printed. */
  async seen(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) return match;
      if (Date.now() > deadline || this.#child.exitCode !== null) {
        throw new Error(`no ${pattern} in:\n${this.#output.slice(-2_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async stop(): Promise<void> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    await this.#ended;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export interface Running {
  readonly url: string;
  readonly process: Atoll;
}

/** A local cluster without agents. */
export async function startEdge(data: string, partitions: number): Promise<Running> {
  const port = await freePort();
  const process = new Atoll(['dev', '--port', `${port}`, '--data', data, '--partitions', `${partitions}`]);
  const [, url = ''] = await process.seen(/^ready (http:\S+)/m);
  return { url, process };
}

/** One that joins, and holds a replica of every partition. */
export async function startAgent(edge: string, data: string): Promise<Running> {
  const port = await freePort();
  const process = new Atoll(['agent', '--join', edge, '--data', data, '--port', `${port}`]);
  const [, url = ''] = await process.seen(/^ready (http:\S+)/m);
  return { url, process };
}

export async function query(
  url: string,
  sql: string,
  fields: object = {},
): Promise<{ rows: unknown[][]; session: string }> {
  const reply = await fetch(`${url}/v1/query`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ sql, ...fields }),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${sql}: ${text}`);
  return JSON.parse(text) as { rows: unknown[][]; session: string };
}

/** Resident memory of a process, bytes. Linux. */
export function residentBytes(pid: number): number {
  const [, kibibytes = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}
