import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Agent, AgentStage } from '../../node-agent/agent.ts';
import { onStop } from '../cluster/stop-signal.ts';
import { CliError, EXIT } from '../failure.ts';
import { integer } from '../options.ts';
import { styleFor } from '../terminal/style.ts';
import { version } from '../version.ts';
import { leadFrom } from './agent-leading.ts';
import { agentRecoverCommand } from './agent-recover.ts';

interface Options {
  readonly join?: string;
  readonly init?: boolean;
  readonly partitions?: number;
  readonly data?: string;
  readonly port: number;
  readonly host: string;
  readonly name?: string;
  readonly address?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export function agentCommand(): Command {
  return new Command('agent')
    .description('join or found a cluster with this machine: a host that keeps replicas and answers the API')
    .option('--join <url,...>', 'the cluster: where its Worker is, or the agent that leads it')
    .option('--init', 'found a cluster instead, which this agent leads; in an empty directory')
    .option('--partitions <n>', 'partitions of the cluster that is founded (default: 4)', integer(1, 1024))
    .option('--data <dir>', 'where its data is kept, {database}/{partition}.sqlite')
    .option('--port <port>', 'where to serve; 0 takes a free port', integer(0, 65_535), 8788)
    .option('--host <address>', 'the address to listen on; 0.0.0.0 for all', '127.0.0.1')
    .option('--name <name>', 'what to call this host')
    .option('--address <url>', 'where other hosts reach it; left out, they need not')
    .option('--tls-cert <file>', 'certificate, PEM: serves HTTPS')
    .option('--tls-key <file>', 'its private key, PEM')
    .addHelpText(
      'after',
      `
Without --join and --init it leads the cluster that the directory leads: one that was founded there, or recovered.

ATOLL_SECRET is the cluster's secret, which every host of it knows; ATOLL_TOKEN, if it is set, the admin token. --init makes
those that are not set, prints them, and keeps them in the directory.
ATOLL_COMPARE_SECONDS is how often each replica is compared with its leader's (default 21600).
Events go to standard error, one JSON object a line.

Examples:
  $ ATOLL_SECRET=… atoll agent --join http://127.0.0.1:8787 --data ./a1
  $ atoll agent --join https://atoll.example.workers.dev --data /var/lib/atoll --host 0.0.0.0 \\
      --address https://db1.example.com:8788 --tls-cert cert.pem --tls-key key.pem
  $ atoll agent --init --data ./c1`,
    )
    .action(runAgent)
    .enablePositionalOptions()
    .addCommand(agentRecoverCommand());
}

async function runAgent(options: Options): Promise<void> {
  const data = needed(options.data, '--data', 'name a directory for its files: --data ./a1');
  if (options.init === true && options.join !== undefined) {
    throw new CliError(
      '--init and --join exclude each other',
      'leave --join out to found a cluster, or --init to join the one that is there',
      EXIT.usage,
    );
  }
  if (options.init !== true && options.partitions !== undefined)
    throw new CliError('--partitions belongs to --init', 'leave it out, or add --init', EXIT.usage);
  if (options.init === true || (options.join === undefined && existsSync(join(data, 'host.json'))))
    return leadFrom(data, {
      ...options,
      tls: tlsOf(options),
      init: options.init === true ? { partitions: options.partitions ?? null } : null,
      name: options.name ?? null,
      address: addressOf(options),
    });
  const seeds = seedsOf(options.join);
  const secret = needed(
    process.env.ATOLL_SECRET || undefined,
    'ATOLL_SECRET',
    "set it to the cluster's secret; `atoll dev` prints its own",
  );
  const tls = tlsOf(options);
  const stopped = onStop();
  // Loads the gateway and ws, which no other command should pay for.
  const { Agent } = await import('../../node-agent/agent.ts');
  const { AgentError } = await import('../../node-agent/agent-error.ts');
  const { jsonLog } = await import('../../node-agent/log.ts');
  const display = new Display(process.stdout);
  let agent: Agent | undefined;
  try {
    agent = await Agent.start({
      seeds,
      data,
      host: options.host,
      port: options.port,
      tls,
      name: options.name ?? null,
      address: addressOf(options),
      secret,
      token: process.env.ATOLL_TOKEN || null,
      ...compareOf(process.env.ATOLL_COMPARE_SECONDS),
      log: jsonLog((line) => void process.stderr.write(line)),
      onStage: (stage) => display.stage(stage),
    });
    display.started(agent, data);
    await Promise.race([stopped, agent.failed]);
  } catch (error) {
    throw error instanceof AgentError ? new CliError(error.message, error.hint) : error;
  } finally {
    display.stop();
    await agent?.stop();
  }
  // A timer of a library must not keep a process that is told to end.
  process.exit(EXIT.ok);
}

/** What happens, for whoever has started it: a line for each stage, each once. */
class Display {
  readonly #stream: NodeJS.WriteStream;
  readonly #said = new Set<string>();
  #agent: Agent | null = null;
  #pending: AgentStage[] = [];
  #watching: ReturnType<typeof setInterval> | null = null;
  #percent = -1;
  #isAccepted = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  started(agent: Agent, data: string): void {
    const style = styleFor(this.#stream);
    this.#agent = agent;
    this.#say(`${style.bold('atoll')} ${version()} · agent ${agent.host}`);
    this.#say(`data   ${data}`);
    // A member has replicas, and answers from them whether the cluster can be reached or not.
    if (agent.wasMember) this.#serves();
    for (const stage of this.#pending) this.stage(stage);
  }

  stage(stage: AgentStage): void {
    if (this.#agent === null) {
      this.#pending.push(stage);
      return;
    }
    switch (stage.kind) {
      case 'proposed':
        this.#say(`proposed as ${stage.host}: the present hosts vote`);
        break;
      case 'unreached':
        if (!this.#isAccepted) this.#say(`not reached yet, trying on: ${stage.message}`);
        break;
      case 'turned-away':
        this.#say(`not taken in yet: ${stage.message}`);
        break;
      case 'accepted':
        this.#isAccepted = true;
        this.#say('accepted');
        this.#serves();
        this.#watching ??= setInterval(() => this.#watch(), PROGRESS_MS);
    }
  }

  stop(): void {
    if (this.#watching !== null) clearInterval(this.#watching);
    this.#watching = null;
  }

  #serves(): void {
    this.#say(`agent ${this.#agent?.url}`);
  }

  #watch(): void {
    const { copies } = this.#agent?.replicas ?? { copies: [] };
    if (copies.length === 0) return;
    if (copies.every(({ isInSync }) => isInSync)) {
      this.stop();
      this.#erase();
      this.#say(`ready ${this.#agent?.url}`);
      return;
    }
    const share = copies.reduce((sum, { progress }) => sum + progress, 0) / copies.length;
    const percent = Math.floor(share * 100);
    if (percent === this.#percent) return;
    if (this.#stream.isTTY) {
      this.#erase();
      this.#stream.write(`catching up ${percent} %`);
    } else if (percent >= this.#percent + PERCENT_STEP) this.#stream.write(`catching up ${percent} %\n`);
    else return;
    this.#percent = percent;
  }

  #erase(): void {
    if (this.#stream.isTTY && this.#percent >= 0) this.#stream.write('\r\u001b[K');
  }

  #say(line: string): void {
    if (this.#said.has(line)) return;
    this.#said.add(line);
    this.#erase();
    this.#stream.write(`${line}\n`);
  }
}

/** How often progress is looked at, ms, and how much more there is in a line where lines stay (chosen). */
const PROGRESS_MS = 100;
const PERCENT_STEP = 10;
/** Thirty days, seconds (chosen). */
const COMPARE_SECONDS_MAX = 30 * 24 * 60 * 60;

function seedsOf(text: string | undefined): string[] {
  const hint = 'name the cluster: --join http://127.0.0.1:8787; or found one: --init';
  const given = needed(text, '--join', hint).split(',');
  return given.map((each) => baseUrl(each.trim(), '--join'));
}

function baseUrl(text: string, option: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, '');
  throw new CliError(`${option}: not a URL: ${text}`, 'write it as http://host:port', EXIT.usage);
}

function addressOf({ address }: Options): string | null {
  return address === undefined ? null : baseUrl(address, '--address');
}

function tlsOf({ tlsCert, tlsKey }: Options): { cert: string; key: string } | null {
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new CliError('--tls-cert and --tls-key belong together', 'give both, or neither', EXIT.usage);
  }
  return { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') };
}

function compareOf(text: string | undefined): { compareMs?: number } {
  if (text === undefined || text === '') return {};
  const seconds = Number(text);
  if (seconds > 0 && seconds <= COMPARE_SECONDS_MAX) return { compareMs: seconds * 1000 };
  throw new CliError(
    `ATOLL_COMPARE_SECONDS: not a number of seconds: ${text}`,
    `write it as 3600; at most ${COMPARE_SECONDS_MAX}`,
    EXIT.usage,
  );
}

function needed(value: string | undefined, name: string, hint: string): string {
  if (value !== undefined) return value;
  throw new CliError(`${name} is missing`, hint, EXIT.usage);
}
