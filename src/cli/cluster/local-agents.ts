import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { readableLogLine } from './agent-log.ts';
import { ROOT } from './configuration.ts';

export interface LocalAgentsOptions {
  readonly count: number;
  /** Agents listen here and on the ports that follow; 0 gives each a free one. */
  readonly firstPort: number;
  /** The cluster that they join. */
  readonly join: string;
  /** Agent n is called an, and keeps its files in `directory/n`. */
  readonly directory: string;
  readonly token: string;
  readonly secret: string;
  /** Takes what agents write besides the line that says where they serve, one line at a time. */
  readonly log: (line: string) => void;
  /** What an agent may take to end after SIGTERM, ms. */
  readonly drainMs?: number;
  /** Another program than this one, for tests; it is given the same arguments. */
  readonly program?: readonly string[];
}

export interface LocalAgents {
  /** Of every agent, where it serves, once it does for the first time. Never rejects: an agent that fails is started again. */
  readonly serving: readonly Promise<string>[];
  /** Where all serve, in order; null when some do not within that time. */
  allServing(waitMs: number): Promise<readonly string[] | null>;
  /** SIGTERM to all, SIGKILL to those that do not end. */
  stop(): Promise<void>;
}

const MAIN = join(ROOT, 'src', 'cli', 'main.ts');

/** An agent's line on standard output, once it answers there. */
const SERVES = /^agent (http:\/\/\S+)$/;

/** Before an agent that ended is started again. Chosen; doubled with each end that comes soon after a start. */
const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** An agent that ran as long was well: its next end is its first again (chosen). */
const WELL_MS = 30_000;
/** What an agent may take to drain, ms (chosen: it answers what it has begun, and closes its files). */
const DRAIN_MS = 8_000;

/** Pause before the start that follows `ends` ends in a row, ms. */
export function restartPause(ends: number): number {
  return Math.min(PAUSE_FIRST_MS * 2 ** (ends - 1), PAUSE_MAX_MS);
}

/** Starts `atoll agent` processes that join a cluster on this machine, and starts again what ends unasked. */
export function startLocalAgents(options: LocalAgentsOptions): LocalAgents {
  const agents = Array.from({ length: options.count }, (_, index) => new LocalAgent(index + 1, options));
  const serving = agents.map((agent) => agent.serving);
  return {
    serving,
    allServing: (waitMs) => within(Promise.all(serving), waitMs),
    stop: async () => void (await Promise.all(agents.map((agent) => agent.stop()))),
  };
}

async function within<T>(promise: Promise<T>, waitMs: number): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, waitMs, null);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

class LocalAgent {
  readonly serving: Promise<string>;
  readonly #number: number;
  readonly #options: LocalAgentsOptions;
  readonly #served = Promise.withResolvers<string>();
  /** Kept once it is known, so that an agent's address outlives its process. */
  #port: number;
  #child: ChildProcess | null = null;
  #restart: NodeJS.Timeout | null = null;
  #ends = 0;
  #stopped = false;

  constructor(number: number, options: LocalAgentsOptions) {
    this.#number = number;
    this.#options = options;
    this.#port = options.firstPort === 0 ? 0 : options.firstPort + number - 1;
    this.serving = this.#served.promise;
    this.#start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), this.#options.drainMs ?? DRAIN_MS);
    await ended;
    clearTimeout(patience);
  }

  #start(): void {
    const { join: seed, directory, token, secret } = this.#options;
    const [program = '', ...first] = this.#options.program ?? [process.execPath, MAIN];
    const target = ['--join', seed, '--data', join(directory, String(this.#number))];
    const where = ['--port', String(this.#port), '--name', `a${this.#number}`];
    const startedAt = performance.now();
    const child = spawn(program, [...first, 'agent', ...target, ...where], {
      env: { ...process.env, ATOLL_TOKEN: token, ATOLL_SECRET: secret },
      // The channel ends when this process does, however it does: `onStop` of the agent hears it.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A Ctrl-C in the terminal is for this process alone, which then stops agents in order.
      detached: true,
    });
    this.#child = child;
    this.#eachLine(child.stdout, (line) => this.#heard(line));
    this.#eachLine(child.stderr, (line) => this.#log(readableLogLine(line)));
    child.on('error', (error) => this.#log(`cannot be started: ${error.message}`));
    child.on('close', (code, signal) => {
      this.#child = null;
      if (!this.#stopped) this.#endedUnasked(signal ?? `exit code ${code}`, performance.now() - startedAt);
    });
  }

  #endedUnasked(how: string, ranMs: number): void {
    this.#ends = ranMs >= WELL_MS ? 1 : this.#ends + 1;
    const pause = restartPause(this.#ends);
    this.#log(`ended (${how}): starting it again in ${pause / 1000} s`);
    this.#restart = setTimeout(() => this.#start(), pause);
  }

  #heard(line: string): void {
    const url = SERVES.exec(line)?.[1];
    if (url === undefined) this.#log(line);
    else this.#servesAt(url);
  }

  #servesAt(url: string): void {
    this.#port = Number(new URL(url).port);
    if (this.#ends > 0) this.#log(`serves again at ${url}`);
    this.#served.resolve(url);
  }

  #eachLine(stream: Readable | null, take: (line: string) => void): void {
    if (stream !== null) createInterface({ input: stream }).on('line', take);
  }

  #log(line: string): void {
    this.#options.log(`a${this.#number}: ${line}`);
  }
}
