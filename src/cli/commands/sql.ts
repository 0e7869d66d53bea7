import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { Command, Option } from 'commander';
import {
  AtollError,
  type Client,
  type ScriptStatement,
  SqlSyntaxError,
  scriptRequests,
} from '../../client/index.ts';
import { type AnswerFormat, renderAnswer } from '../answer.ts';
import { type ConnectionOptions, connect } from '../connection.ts';
import { CliError, describeFailure, EXIT } from '../failure.ts';
import { withConnection } from '../options.ts';
import { runPrompt } from '../prompt/prompt.ts';
import { answersOf } from '../query-pages.ts';
import { styleFor, widthOf } from '../terminal/style.ts';

interface Options extends ConnectionOptions {
  readonly execute?: string[];
  readonly json?: boolean;
  readonly csv?: boolean;
}

export function sqlCommand(): Command {
  return withConnection(new Command('sql'))
    .description('run a statement, a file, or a prompt with history')
    .argument('[file]', 'a file of statements; `-` reads standard input')
    .addOption(new Option('-e, --execute <sql>', 'run this (may be given several times)').argParser(collect))
    .option('--json', 'answers as one JSON object per row, which `atoll import` reads')
    .addOption(new Option('--csv', 'answers as CSV').conflicts('json'))
    .addHelpText(
      'after',
      `
Examples:
  $ atoll sql                                   a prompt; .help lists its commands
  $ atoll sql -e "SELECT * FROM cities WHERE country = 'IS'"
  $ atoll sql schema.sql                        every statement of a file, in order
  $ atoll sql --csv -e "SELECT …" > answer.csv`,
    )
    .action(runSql);
}

function collect(value: string, earlier: string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}

async function runSql(file: string | undefined, options: Options): Promise<void> {
  if (options.execute !== undefined && file !== undefined) {
    throw new CliError('-e and a file cannot be run at once', 'give one of them', EXIT.usage);
  }
  const client = connect(options, { integers: 'bigint' });
  const format: AnswerFormat = options.json === true ? 'json' : options.csv === true ? 'csv' : 'table';
  if (options.execute !== undefined) return runScript(client, options.execute.join(';\n'), format, undefined);
  if (file !== undefined && file !== '-')
    return runScript(client, await readFile(file, 'utf8'), format, file);
  if (file === '-' || !process.stdin.isTTY) return runScript(client, await text(process.stdin), format, '-');
  return runPrompt(client);
}

/** Runs statements one after another and stops at the first that fails, naming its line. */
async function runScript(client: Client, script: string, format: AnswerFormat, file?: string): Promise<void> {
  const requests = parse(script, file);
  if (file !== undefined) refuseDump(requests.flat(), file);
  for (const statements of requests) {
    const startedAt = performance.now();
    try {
      let goesOn = false;
      for await (const result of answersOf(client, statements)) {
        const options = { width: widthOf(process.stdout), style: styleFor(process.stdout), goesOn };
        const text = renderAnswer(result, format, { ...options, ms: performance.now() - startedAt });
        // Nothing more is asked for before the reader has taken this.
        if (!process.stdout.write(text)) await once(process.stdout, 'drain');
        if (format === 'table') break;
        goesOn = true;
      }
    } catch (error) {
      throw located(error, file, statements, requests);
    }
  }
}

/** Statement by statement a dump fails at its ids, having left half of itself. */
function refuseDump(statements: readonly ScriptStatement[], file: string): void {
  const [first, second] = statements.map(({ sql }) => sql);
  const isDump =
    /^PRAGMA\s+foreign_keys\s*=\s*(OFF|0)$/i.test(first ?? '') &&
    /^BEGIN(\s+TRANSACTION)?$/i.test(second ?? '');
  if (!isDump) return;
  throw new CliError(
    `${file === '-' ? 'standard input' : file} is a dump of a whole database; nothing of it was run`,
    `atoll restore ${file} puts it into an empty database, all or nothing`,
    EXIT.usage,
  );
}

function parse(script: string, file: string | undefined): (readonly ScriptStatement[])[] {
  try {
    return scriptRequests(script);
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    throw new CliError(
      `${file === undefined ? '' : `${file}:${error.line}: `}${error.message}`,
      file === undefined ? undefined : 'nothing of the file was run',
    );
  }
}

function located(
  error: unknown,
  file: string | undefined,
  failed: readonly ScriptStatement[],
  all: readonly (readonly ScriptStatement[])[],
): unknown {
  if (!(error instanceof AtollError) || file === undefined) return error;
  const { message, hint } = describeFailure(error);
  const done = all.slice(0, all.indexOf(failed)).flat().length;
  return new CliError(
    `${file}:${lineOf(failed, message)}: ${message}`,
    hint ?? `the ${done} statements before it were run`,
  );
}

/** Where the message says which statement of a batch it is about, there; else at its first. */
function lineOf(statements: readonly ScriptStatement[], message: string): number {
  const index = Number(/^statements\[(\d+)\]/.exec(message)?.[1] ?? 0);
  return statements[index]?.line ?? 1;
}
