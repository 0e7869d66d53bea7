import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { checkFolder } from './check.ts';

/** Failures beyond these are counted, not printed. */
const PRINTED_MAX = 50;

const values = new Command('npm run conformance --')
  .description(
    "Reads every statement of a folder of sqllogictest files with Atoll's parser and with SQLite's.",
  )
  .allowExcessArguments(false)
  .option('--corpus <dir>', 'the folder; without, the part that the repository has', folder)
  .option('--parentheses', 'once more with every pair of parentheses that changes nothing', false)
  .parse()
  .opts<{ corpus?: string; parentheses: boolean }>();
const { corpus = join(import.meta.dirname, 'corpus'), parentheses } = values;

function folder(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path;
  throw new InvalidArgumentError('There is no such folder.');
}

const started = performance.now();
const summary = checkFolder(corpus, { parentheses });
for (const failure of summary.failures.slice(0, PRINTED_MAX)) {
  console.log(
    `FAIL ${failure.file}:${failure.line}: ${failure.problem}\n  ${failure.sql.replaceAll('\n', '\n  ')}`,
  );
}
const unprinted = summary.failures.length - PRINTED_MAX;
if (unprinted > 0) console.log(`… and ${unprinted} more`);

const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(
  `${summary.files} files, ${summary.statements} statements, ${summary.distinct} distinct, ` +
    `${summary.accepted} accepted by SQLite, ${summary.failures.length} failures, ${seconds} s`,
);
if (parentheses) {
  console.log(`${summary.parenthesized} run again with ${summary.pairs} pairs of parentheses put in`);
}
if (summary.statements === 0) console.log(`no statements below ${corpus}`);
process.exitCode = summary.failures.length > 0 || summary.statements === 0 ? 1 : 0;
