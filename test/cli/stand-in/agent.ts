import { appendFileSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onStop } from '../../../src/cli/cluster/stop-signal.ts';

/**
 * Stands in for `atoll agent` where a test is about the process that starts it. It serves what it was given; `/end`
 * ends it with code 3, `/deaf` makes it deaf to SIGTERM. Every start is a line of `starts` in its directory.
 */
const { values } = parseArgs({
  allowPositionals: true,
  options: {
    join: { type: 'string' },
    data: { type: 'string' },
    port: { type: 'string' },
    name: { type: 'string' },
  },
});
const data = values.data ?? '';
mkdirSync(data, { recursive: true });
appendFileSync(join(data, 'starts'), `${process.pid}\n`);

let deaf = false;
const server = createServer((request, response) => {
  if (request.url === '/end') process.exit(3);
  if (request.url === '/deaf') deaf = true;
  const { ATOLL_SECRET: secret, ATOLL_TOKEN: token } = process.env;
  response.end(JSON.stringify({ pid: process.pid, join: values.join, name: values.name, secret, token }));
});
server.listen(Number(values.port), '127.0.0.1', () => {
  process.stderr.write('joining\n');
  process.stdout.write(`agent http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.on('SIGTERM', () => undefined);
void onStop().then(() => {
  if (deaf) return;
  appendFileSync(join(data, 'starts'), 'stopped\n');
  process.exit(0);
});
