import { expect, test } from 'vitest';
import { readableLogLine } from '../../src/cli/cluster/agent-log.ts';
import { jsonLog } from '../../src/node-agent/log.ts';

test('a line of the log is its event and its fields, its level where it is no mere information', () => {
  const lines: string[] = [];
  const log = jsonLog((line) => lines.push(line.trimEnd()));
  log('info', 'joined', { host: 'abc', partitions: [1, 2] });
  log('warn', 'link-lost', { reason: 'no answer' });
  expect(lines.map(readableLogLine)).toEqual([
    'joined host=abc partitions=[1,2]',
    'warn: link-lost reason="no answer"',
  ]);
});

test.each(['plain text', '{"cut":', '{"no":"event"}', ''])('any other line stays as it is: %s', (line) => {
  expect(readableLogLine(line)).toBe(line);
});
