import { readWorkerConfiguration } from '../../src/cli/cluster/configuration.ts';
import { type LocalCluster, startLocalCluster } from '../../src/cli/cluster/local-cluster.ts';
import { type Running, start } from '../cli/process.ts';

export const TOKEN = 'fixture';
export const SECRET = 'fixture secret';

/** The Worker of this version on a storage folder, its own or a fixture's. */
export function startOn(storage: string): Promise<LocalCluster> {
  return startLocalCluster({
    port: 0,
    partitions: 3,
    storage,
    token: TOKEN,
    secret: SECRET,
    log: (line) => console.error(line),
    configuration: readWorkerConfiguration(),
  });
}

/** An agent of this version on a data directory, its own or a fixture's, and where it serves. */
export async function startAgentOn(edge: string, data: string): Promise<{ running: Running; url: string }> {
  const running = start(['agent', '--join', edge, '--data', data, '--port', '0'], {
    env: { ATOLL_SECRET: SECRET, ATOLL_TOKEN: TOKEN },
  });
  const [, url = ''] = await running.seen(/^ready (\S+)$/m);
  return { running, url };
}

/** Stops it as an operator would. */
export async function stopAgent({ child, ended }: Running): Promise<void> {
  child.kill('SIGTERM');
  await ended;
}

/** Answers as they are on the wire, so that every value's type counts. */
export async function ask(
  { url }: Pick<LocalCluster, 'url'>,
  questions: readonly string[],
  fields: object = {},
): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const sql of questions) {
    const reply = await fetch(`${url}/v1/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ sql, ...fields }),
    });
    const { columns, rows } = JSON.parse(
      (await reply.text())
        .replace(/"session":"[^"]*"/, '"session":""')
        .replace(/-?\d+(\.\d+(e[+-]\d+)?)/g, '"real $&"'),
    );
    answers.push({ sql, columns, rows });
  }
  return answers;
}
