import { hostname } from 'node:os';
import type { Credential } from '../../node-agent/leading/credential.ts';
import type { Init } from '../../node-agent/leading/leadership.ts';
import { onStop } from '../cluster/stop-signal.ts';
import { CliError, EXIT } from '../failure.ts';
import { plural } from '../terminal/figures.ts';
import { styleFor } from '../terminal/style.ts';
import { version } from '../version.ts';

export interface LeadingOptions {
  readonly port: number;
  readonly host: string;
  readonly tls: { cert: string; key: string } | null;
  /** Null: leads what is there. */
  readonly init: Init | null;
  readonly name: string | null;
  /** Where others reach it, if that is not where it listens. */
  readonly address: string | null;
}

/** `atoll agent` without `--join`: founds a cluster with `--init`, and leads it, or what `atoll agent recover` has made. */
export async function leadFrom(data: string, { address, ...options }: LeadingOptions): Promise<void> {
  const stopped = onStop();
  const { LeadingAgent } = await import('../../node-agent/leading/leading-agent.ts');
  const { AgentError } = await import('../../node-agent/agent-error.ts');
  const { jsonLog } = await import('../../node-agent/log.ts');
  const given = { secret: process.env.ATOLL_SECRET || null, token: process.env.ATOLL_TOKEN || null };
  const style = styleFor(process.stdout);
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  let agent: Awaited<ReturnType<typeof LeadingAgent.start>> | undefined;
  try {
    const log = jsonLog((line) => void process.stderr.write(line));
    agent = await LeadingAgent.start({ data, ...options, ...given, log });
    const { token, secret, url } = agent;
    const led = plural(agent.partitions.all.length - 1, 'partition');
    say(`${style.bold('atoll')} ${version()} · agent ${agent.host}`);
    say(`data   ${data}`);
    say(`leads  ${led}, history ${agent.history}`);
    say(`token  ${token === null ? 'none: ATOLL_TOKEN is not set' : shown(token, 'ATOLL_TOKEN')}`);
    if (secret === null) say('no other host may join: ATOLL_SECRET is not set');
    else {
      say(`secret ${shown(secret, 'ATOLL_SECRET')}`);
      say(`join   ${joinCommand(secret, address ?? reachable(url))}`);
    }
    if (token !== null) {
      const from = token.origin === 'given' ? '' : ` --data ${data}`;
      say(`try    atoll sql --url ${url.replace(WILDCARD, '//127.0.0.1')}${from}`);
    }
    say(`ready ${url}`);
    await stopped;
  } catch (error) {
    throw error instanceof AgentError ? new CliError(error.message, error.hint) : error;
  } finally {
    await agent?.stop();
  }
  process.exit(EXIT.ok);
}

/** Told once, when it is made: what a service prints at every start stays in journals. */
function shown({ text, origin, file }: Credential, variable: string): string {
  if (origin === 'made') return text;
  return origin === 'kept' ? `kept in ${file}` : `from ${variable}`;
}

/** For the next agent. On this machine it needs a port of its own. */
function joinCommand({ text, origin, file }: Credential, url: string): string {
  const secret = { made: text, kept: `$(cat ${file})`, given: '…' }[origin];
  const { hostname, port } = new URL(url);
  const more = LOOPBACK.test(hostname) ? ` --port ${Number(port) + 1}` : '';
  return `ATOLL_SECRET=${secret} atoll agent --join ${url} --data ./a2${more}`;
}

/** A wildcard is no address for others: this machine's name may be one. */
function reachable(url: string): string {
  return url.replace(WILDCARD, `//${hostname()}`);
}

const WILDCARD = /\/\/(0\.0\.0\.0|\[::\])(?=:)/;

const LOOPBACK = /^(localhost|127\..*|\[::1\])$/;
