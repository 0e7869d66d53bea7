import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { run, start, temporaryDirectory } from './process.ts';

test('the demo ends by itself in under a minute, every step as it should, and leaves nothing behind', async () => {
  const directory = temporaryDirectory();
  const startedAt = performance.now();
  const { code, stdout, stderr } = await run(['demo'], {
    cwd: directory.path,
    env: { TMPDIR: directory.path },
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const left = readdirSync(directory.path);
  directory.remove();

  expect(stdout).not.toContain('error:');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(seconds).toBeLessThan(60);
  expect(left.filter((name) => name.startsWith('atoll-demo-'))).toEqual([]);
  expect(stdout).toMatch(/cities {5}1\d\d,\d{3} rows in .* rows\/s/);
  expect(stdout).toContain('CC BY 4.0');
  // Facts of the data that only a right answer shows.
  expect(stdout).toMatch(/Longyearbyen │ Svalbard and Jan Mayen │ 78\.22334/);
  expect(stdout).toMatch(/ US {6}│ {2}17\d{3}/);
  // Two agents have it all, one of them answers, and its files are SQLite databases.
  expect(stdout.match(/ a[12] +│ learner of 5 │ read /g)).toHaveLength(2);
  expect(stdout).toMatch(/\$ atoll sql --url \S+ .*eventual[\s\S]*Siglufjörður │ 66\.15198/);
  expect(stdout).toMatch(/ together │ 171076\n/);
  // Nothing but text where there is no terminal, and nothing wider than 100 columns.
  expect(stdout).not.toContain('\u001b');
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
});

test('Ctrl-C in the middle ends it, and leaves nothing behind', async () => {
  const directory = temporaryDirectory();
  const demo = start(['demo'], { cwd: directory.path, env: { TMPDIR: directory.path } });
  await demo.seen(/── Real data/);
  demo.child.kill('SIGINT');
  const { code, stdout } = await demo.ended;
  const left = readdirSync(directory.path).filter((name) => name.startsWith('atoll-demo-'));
  directory.remove();
  expect(code).toBe(130);
  expect(left).toEqual([]);
  expect(stdout).not.toContain('error:');
});
