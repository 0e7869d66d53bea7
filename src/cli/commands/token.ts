import { Command, Option } from 'commander';
import type { SqlOutput } from '../../client/index.ts';
import { type ConnectionOptions, connect } from '../connection.ts';
import { CliError, EXIT } from '../failure.ts';
import { withConnection } from '../options.ts';
import { styleFor, widthOf } from '../terminal/style.ts';
import { renderTable } from '../terminal/table.ts';

interface CreateOptions extends ConnectionOptions {
  readonly role: string;
  readonly database?: string[];
  readonly expires: string;
}

export function tokenCommand(): Command {
  const token = new Command('token').description('make, list and revoke tokens (needs an admin token)');
  withConnection(token.command('create'))
    .description('make a token and print it')
    .addOption(
      new Option('--role <role>', 'what it allows').choices(['read', 'write', 'admin']).default('read'),
    )
    .option('--database <name...>', 'databases it is good for (default: all)')
    .option('--expires <time>', 'how long it is good: 30m, 12h, 90d', '90d')
    .addHelpText('after', '\nExamples:\n  $ atoll token create --role read --expires 7d')
    .action(create);
  withConnection(token.command('list')).description('show tokens, without the secrets').action(list);
  withConnection(token.command('revoke'))
    .description('end a token now')
    .argument('<id>', 'as `atoll token list` shows it')
    .action(revoke);
  return token.addHelpText(
    'after',
    '\nExamples:\n  $ atoll token create --role write\n  $ atoll token list\n  $ atoll token revoke 4f2c…',
  );
}

async function create(options: CreateOptions): Promise<void> {
  const made = (await connect(options).call('POST', '/v1/tokens', {
    role: options.role,
    databases: options.database ?? null,
    expiresInSeconds: seconds(options.expires),
  })) as { token: string; id?: string };
  // The token alone goes to standard output, so that a script can catch it.
  if (made.id !== undefined) process.stderr.write(`token ${made.id}, role ${options.role}\n`);
  process.stdout.write(`${made.token}\n`);
}

interface TokenEntry {
  readonly id: string;
  readonly role: string;
  /** Null for all. */
  readonly databases: readonly string[] | null;
  readonly createdAt: string | null;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
}

async function list(options: ConnectionOptions): Promise<void> {
  const { tokens } = (await connect(options).call('GET', '/v1/tokens')) as { tokens: TokenEntry[] };
  const rows = tokens.map((token): SqlOutput[] => [
    token.id,
    token.role,
    token.databases?.join(', ') ?? 'all',
    minute(token.createdAt),
    token.revokedAt === null ? (minute(token.expiresAt) ?? 'never') : `revoked ${minute(token.revokedAt)}`,
  ]);
  const columns = ['id', 'role', 'databases', 'made', 'expires'];
  const table = renderTable(columns, rows, {
    width: widthOf(process.stdout),
    style: styleFor(process.stdout),
  });
  process.stdout.write(tokens.length === 0 ? 'no tokens\n' : `${table}\n`);
}

async function revoke(id: string, options: ConnectionOptions): Promise<void> {
  await connect(options).call('DELETE', `/v1/tokens/${encodeURIComponent(id)}`);
  process.stdout.write(`revoked ${id}\n`);
}

/** 2026-11-20 12:29, UTC as the server gives it. */
function minute(time: string | null): string | null {
  return time === null ? null : time.slice(0, 16).replace('T', ' ');
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function seconds(text: string): number {
  const match = /^(\d+)([smhd])$/.exec(text);
  const unit = SECONDS[match?.[2] ?? ''];
  if (match === null || unit === undefined) {
    throw new CliError(`not a length of time: ${text}`, 'write it as 30m, 12h or 90d', EXIT.usage);
  }
  return Number(match[1]) * unit;
}
