import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { runPrompt } from '../../src/cli/prompt/prompt.ts';
import { createClient } from '../../src/client/index.ts';
import { temporaryDirectory } from './process.ts';
import { sqliteServer, TOKEN } from './sqlite-server.ts';

/** What the prompt prints for these lines, prompts left out. */
async function session(lines: readonly string[]): Promise<{ shown: string; history: string }> {
  const server = await sqliteServer();
  const directory = temporaryDirectory();
  const input = new PassThrough();
  // `terminal` is what makes readline keep a history.
  const output = Object.assign(new PassThrough(), { isTTY: false, columns: 100 });
  let shown = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  const client = createClient({ url: server.url, token: TOKEN, integers: 'bigint' });
  const history = join(directory.path, 'state', 'history');
  const ended = runPrompt(client, { input, output: output as unknown as NodeJS.WriteStream, history });
  input.end(lines.map((line) => `${line}\n`).join(''));
  await ended;
  await server.close();
  let kept = '';
  try {
    kept = readFileSync(history, 'utf8');
  } catch {
    // None was written.
  }
  directory.remove();
  return { shown, history: kept };
}

test('a statement goes over lines until its semicolon', async () => {
  const { shown } = await session(["SELECT 'a;b' AS x,", '  1 AS y', ';', '.quit']);
  expect(shown).toMatch(/ x {3}│ y\n─+┼─+\n a;b │ 1\n1 row/);
});

test('a trigger body is no end, a syntax error is shown and the prompt goes on', async () => {
  const { shown } = await session([
    'CREATE TABLE t (a);',
    'CREATE TRIGGER r AFTER INSERT ON t BEGIN',
    '  DELETE FROM t;',
    'END;',
    'SELEC 1;',
    'SELECT count(*) AS n FROM t;',
  ]);
  expect(shown).toMatch(/error:.*SELEC/);
  expect(shown).toMatch(/ n\n───\n 0\n/);
});

test('dot commands: tables, schema, plans, help, and what is none', async () => {
  const { shown } = await session([
    'CREATE TABLE cities (country TEXT);',
    '.tables',
    '.schema CITIES',
    '.plan on',
    'SELECT 1;',
    '.help',
    '.frob',
    '.quit',
    'SELECT 4711;',
  ]);
  expect(shown).toContain(' cities │ partitioned by (country)');
  expect(shown).toContain('CREATE TABLE cities (country TEXT);');
  expect(shown).toContain('plan: route → partition 2 (for the test)');
  expect(shown).toContain('.schema [TABLE]');
  expect(shown).toContain('no command .frob');
  expect(shown).not.toContain('4711');
});
