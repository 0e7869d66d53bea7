/**
 * Reads every statement of a folder of sqllogictest files with Atoll's parser and with SQLite's.
 * `npm run conformance -- [--corpus DIR] [--parentheses]`; without a folder, the part that the repository has.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkFolder } from './check.ts';

/** Failures beyond these are counted, not printed. */
const PRINTED_MAX = 50;

const { values } = parseArgs({
  options: {
    corpus: { type: 'string', default: join(import.meta.dirname, 'corpus') },
    parentheses: { type: 'boolean', default: false },
  },
});

const started = performance.now();
const summary = checkFolder(values.corpus, { parentheses: values.parentheses });
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
if (values.parentheses) {
  console.log(`${summary.parenthesized} run again with ${summary.pairs} pairs of parentheses put in`);
}
if (summary.statements === 0) console.log(`no statements below ${values.corpus}`);
process.exitCode = summary.failures.length > 0 || summary.statements === 0 ? 1 : 0;
