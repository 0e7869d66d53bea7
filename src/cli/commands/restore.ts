import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { type ConnectionOptions, connect } from '../connection.ts';
import { withConnection } from '../options.ts';
import { plural } from '../terminal/figures.ts';
import { startProgress } from '../terminal/progress.ts';

export function restoreCommand(): Command {
  return withConnection(new Command('restore'))
    .description('fill an empty database with a dump that `atoll export` has written')
    .argument('<file>', 'the dump; `-` reads standard input; .gz is sent as it is')
    .addHelpText(
      'after',
      `
All or nothing: what fails leaves the database empty, and until the end nobody else is served.

Examples:
  $ atoll restore backup.sql
  $ atoll restore backup.sql.gz
  $ atoll export --url http://old:8787 | atoll restore - --url http://new:8787`,
    )
    .action(runRestore);
}

async function runRestore(file: string, options: ConnectionOptions): Promise<void> {
  const client = connect(options);
  const total = file === '-' ? undefined : (await stat(file)).size;
  const source = file === '-' ? process.stdin : createReadStream(file);
  const progress = startProgress({ label: 'restore', total, unit: 'bytes', stream: process.stderr });
  try {
    const result = await client.restore(source, {
      gzip: file.endsWith('.gz'),
      onProgress: (bytes) => progress.update(bytes, 0),
    });
    progress.finish();
    const { tables, rows, partitions } = result;
    process.stdout.write(
      `${plural(tables, 'table')}, ${plural(rows, 'row')} in ${plural(partitions.length, 'partition')}\n`,
    );
  } catch (error) {
    progress.abandon();
    throw error;
  }
}
