import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { type ConnectionOptions, connect } from '../connection.ts';
import { withConnection } from '../options.ts';
import { startProgress } from '../terminal/progress.ts';

export function exportCommand(): Command {
  return withConnection(new Command('export'))
    .description('write the whole database as SQL that sqlite3 loads')
    .option('--out <file>', 'write to a file (default: standard output)')
    .addHelpText(
      'after',
      '\nExamples:\n  $ atoll export --out backup.sql\n  $ atoll export | sqlite3 copy.db',
    )
    .action(async (options: ConnectionOptions & { readonly out?: string }) => {
      const source = await connect(options).export();
      const progress = startProgress({
        label: 'export',
        total: undefined,
        unit: 'bytes',
        stream: process.stderr,
      });
      let done = 0;
      const counted = async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          done += chunk.length;
          progress.update(done, 0);
          yield chunk;
        }
      };
      try {
        if (options.out === undefined) await pipeline(source, counted, process.stdout, { end: false });
        else await writeWhole(options.out, (target) => pipeline(source, counted, createWriteStream(target)));
      } catch (error) {
        progress.abandon();
        throw error;
      }
      progress.finish();
    });
}

/** The file appears under its name only when it is whole: half a dump must not pass for a backup. */
async function writeWhole(file: string, write: (target: string) => Promise<void>): Promise<void> {
  const partial = `${file}.partial`;
  try {
    await write(partial);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
