import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Command, Option } from 'commander';
import { AtollError, type ImportFormat } from '../../client/index.ts';
import { type ConnectionOptions, connect } from '../connection.ts';
import { CliError, EXIT } from '../failure.ts';
import { withConnection } from '../options.ts';
import { plural } from '../terminal/figures.ts';
import { startProgress } from '../terminal/progress.ts';

interface Options extends ConnectionOptions {
  readonly format?: ImportFormat;
  readonly importId?: string;
}

export function importCommand(): Command {
  return withConnection(new Command('import'))
    .description('load rows into a table from NDJSON or CSV')
    .argument('<table>', 'the table, which must exist')
    .argument('<file>', 'the file; `-` reads standard input; .gz is unpacked')
    .addOption(
      new Option('--format <format>', 'of the file (default: by its name)').choices(['ndjson', 'csv']),
    )
    .option('--import-id <id>', 'continue the import of this name: rows it has added are not added again')
    .addHelpText(
      'after',
      `
NDJSON has one JSON object per line, by column name; CSV has the column names in its first line.

Examples:
  $ atoll import cities cities.ndjson
  $ atoll import cities cities.csv.gz
  $ generate | atoll import cities - --format ndjson`,
    )
    .action(runImport);
}

async function runImport(table: string, file: string, options: Options): Promise<void> {
  const format = options.format ?? formatOf(file);
  const importId = options.importId ?? crypto.randomUUID();
  const size = file === '-' ? undefined : (await stat(file)).size;
  const input = file === '-' ? process.stdin : createReadStream(file);
  const packed = file.endsWith('.gz');
  // What fails on the way, the file or its packing, surfaces where the rows are read.
  const source = packed ? pipeline(input, createGunzip(), () => undefined) : input;
  const progress = startProgress({
    label: `import ${table}`,
    total: size,
    unit: 'rows',
    stream: process.stderr,
  });
  try {
    const result = await connect(options).import(table, source, {
      format,
      importId,
      onProgress: ({ rows, bytes }) => progress.update(packed ? input.bytesRead : bytes, rows),
    });
    progress.finish();
    if (result.skipped > 0) process.stderr.write(`${plural(result.skipped, 'row')} were there already\n`);
  } catch (error) {
    progress.abandon();
    throw withContinuation(error, `atoll import ${table} ${file} --import-id ${importId}`);
  }
}

function formatOf(file: string): ImportFormat {
  const name = file.replace(/\.gz$/, '');
  if (/\.csv$/i.test(name)) return 'csv';
  if (/\.(ndjson|jsonl|json)$/i.test(name)) return 'ndjson';
  throw new CliError(
    file === '-' ? 'standard input has no name to tell its format by' : `no format is known for ${file}`,
    'say --format ndjson or --format csv',
    EXIT.usage,
  );
}

/** What was confirmed stays, whatever broke; the same command under the same id adds the rest. */
function withContinuation(error: unknown, command: string): unknown {
  if (!(error instanceof AtollError)) return error;
  const line = error.detail.line;
  const message =
    typeof line === 'number' && !error.message.includes(String(line))
      ? `line ${line}: ${error.message}`
      : error.message;
  return new CliError(`${message} (${error.code})`, `mend that, then continue with: ${command}`);
}
