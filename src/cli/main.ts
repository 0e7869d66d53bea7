import { Command } from 'commander';
import { agentCommand } from './commands/agent.ts';
import { demoCommand } from './commands/demo.ts';
import { devCommand } from './commands/dev.ts';
import { exportCommand } from './commands/export.ts';
import { hostsCommand } from './commands/hosts.ts';
import { importCommand } from './commands/import.ts';
import { initCommand } from './commands/init.ts';
import { restoreCommand } from './commands/restore.ts';
import { settingsCommand } from './commands/settings.ts';
import { sqlCommand } from './commands/sql.ts';
import { statusCommand } from './commands/status.ts';
import { tokenCommand } from './commands/token.ts';
import { describeFailure, EXIT } from './failure.ts';
import { styleFor } from './terminal/style.ts';
import { version } from './version.ts';

const program = new Command('atoll')
  .description('Atoll: a SQL database spread over Cloudflare Durable Objects and your own machines')
  .version(version(), '-V, --version')
  .helpCommand('help [command]')
  // A subcommand's options are its own, also where its parent has some of the same name.
  .enablePositionalOptions()
  .configureHelp({ showGlobalOptions: false })
  .showSuggestionAfterError()
  .showHelpAfterError('Run with --help for the options and examples.')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage))
  .addHelpText(
    'after',
    `
Environment:
  ATOLL_URL     the cluster (default http://127.0.0.1:8787)
  ATOLL_TOKEN   the token; beside \`atoll dev\` none is needed

Start here:
  $ atoll demo                          a guided tour on real data, one minute
  $ atoll dev                           a local cluster that keeps its data in .atoll
  $ atoll sql -e "SELECT 1"             a statement
  $ atoll sql                           a prompt`,
  );

for (const command of [
  devCommand,
  agentCommand,
  sqlCommand,
  importCommand,
  exportCommand,
  restoreCommand,
  statusCommand,
  hostsCommand,
  settingsCommand,
  initCommand,
  tokenCommand,
  demoCommand,
]) {
  program.addCommand(command().copyInheritedSettings(program));
}

// A reader that has seen enough (`atoll export | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  const { message, hint, exitCode } = describeFailure(error);
  const style = styleFor(process.stderr);
  process.stderr.write(`${style.red('error:')} ${message}\n`);
  if (hint !== undefined) process.stderr.write(`${style.cyan('hint:')}  ${hint}\n`);
  process.exitCode = exitCode;
}
