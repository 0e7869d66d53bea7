import { onStop } from '../cluster/stop-signal.ts';
import { CliError, EXIT } from '../failure.ts';
import { styleFor } from '../terminal/style.ts';
import { version } from '../version.ts';

export interface LeadingOptions {
  readonly port: number;
  readonly host: string;
  readonly tls: { cert: string; key: string } | null;
}

/** `atoll agent` without `--join`: leads what `atoll agent recover` has made. */
export async function leadFrom(data: string, { port, host, tls }: LeadingOptions): Promise<void> {
  const stopped = onStop();
  const { LeadingAgent } = await import('../../node-agent/leading/leading-agent.ts');
  const { AgentError } = await import('../../node-agent/agent-error.ts');
  const { jsonLog } = await import('../../node-agent/log.ts');
  const secret = process.env.ATOLL_SECRET || null;
  const token = process.env.ATOLL_TOKEN || null;
  const style = styleFor(process.stdout);
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  let agent: Awaited<ReturnType<typeof LeadingAgent.start>> | undefined;
  try {
    const log = jsonLog((line) => void process.stderr.write(line));
    agent = await LeadingAgent.start({ data, host, port, tls, secret, token, log });
    say(`${style.bold('atoll')} ${version()} · agent ${agent.host}`);
    say(`data   ${data}`);
    say(`leads  ${agent.partitions.all.length - 1} partitions, history ${agent.history}`);
    if (secret === null) say('no other host may join: ATOLL_SECRET is not set');
    say(`ready ${agent.url}`);
    await stopped;
  } catch (error) {
    throw error instanceof AgentError ? new CliError(error.message, error.hint) : error;
  } finally {
    await agent?.stop();
  }
  process.exit(EXIT.ok);
}
