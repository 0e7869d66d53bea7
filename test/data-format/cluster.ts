import { readWorkerConfiguration } from '../../src/cli/cluster/configuration.ts';
import { type LocalCluster, startLocalCluster } from '../../src/cli/cluster/local-cluster.ts';

const TOKEN = 'fixture';

/** The Worker of this version on a storage folder, its own or a fixture's. */
export function startOn(storage: string): Promise<LocalCluster> {
  return startLocalCluster({
    port: 0,
    partitions: 3,
    storage,
    token: TOKEN,
    secret: 'fixture secret',
    log: (line) => console.error(line),
    configuration: readWorkerConfiguration(),
  });
}

/** Answers as they are on the wire, so that every value's type counts. */
export async function ask({ url }: LocalCluster, questions: readonly string[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const sql of questions) {
    const reply = await fetch(`${url}/v1/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ sql }),
    });
    const { columns, rows } = JSON.parse(
      (await reply.text()).replace(/-?\d+(\.\d+(e[+-]\d+)?)/g, '"real $&"'),
    );
    answers.push({ sql, columns, rows });
  }
  return answers;
}
