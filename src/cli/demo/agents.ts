import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createClient, type SqlOutput } from '../../client/index.ts';
import { agentsInSync } from '../cluster/agents-in-sync.ts';
import { CliError } from '../failure.ts';
import type { Stage } from './stage.ts';
import type { Step } from './tour.ts';

/** The agents of the demo's cluster. */
export interface DemoAgents {
  readonly urls: readonly string[];
  /** Agent n keeps its files in `directory/n`. */
  readonly directory: string;
  readonly token: string;
}

/** What agents may take to have all of the data, ms: they follow while it is loaded, so seconds at most. */
const IN_SYNC_MS = 20_000;

/** What a file may be behind, ms. */
const COPIED_MS = 5_000;

const COUNT = 'SELECT count(*) AS cities FROM cities';

/** What the tour shows of machines of one's own. */
export function agentSteps(agents: DemoAgents): readonly Step[] {
  return [
    {
      title: 'Your own machines',
      why: 'Two node agents joined by knowing one address and the secret. The edge voted them in, and each holds a copy of every partition.',
      run: async (stage) => {
        stage.command('atoll hosts list');
        stage.hosts(await agentsInSync(stage.client, agents.urls.length, IN_SYNC_MS));
      },
    },
    {
      title: 'Ask a copy',
      why: 'An agent serves the same API. A read that need not be the newest is answered from its own files; nobody else is asked.',
      run: (stage) => {
        const url = agents.urls[0] ?? '';
        stage.command(`atoll sql --url ${url}   (consistency: eventual)`);
        const client = createClient({ url, token: agents.token, integers: 'bigint' });
        return stage.answer(
          `SELECT name, lat, lng FROM cities\nWHERE country = 'IS' ORDER BY lat DESC LIMIT 3`,
          (sql) => client.query(sql, [], { consistency: 'eventual' }),
        );
      },
    },
    {
      title: 'It is a file',
      why: 'What an agent holds are ordinary SQLite databases, one for each partition. Here they are read past Atoll.',
      run: async (stage) => readFiles(stage, join(agents.directory, '1', 'main')),
    },
  ];
}

async function readFiles(stage: Stage, directory: string): Promise<void> {
  stage.command(`sqlite3 agents/1/main/1.sqlite "${COUNT}"   (and 2, 3, …)`);
  const { rows } = await stage.client.query(COUNT);
  const startedAt = performance.now();
  const counts = await copiedCounts(directory, rows[0]?.[0] ?? null);
  stage.rows(['file', 'cities'], counts, performance.now() - startedAt);
}

/** Cities by file and together, as soon as they are as many as the leaders have: a copy is some ms behind. */
async function copiedCounts(directory: string, cities: SqlOutput): Promise<SqlOutput[][]> {
  const end = performance.now() + COPIED_MS;
  for (;;) {
    const files = readdirSync(directory).filter((name) => /^[1-9]\d*\.sqlite$/.test(name));
    const counts = files.sort().map((file): [string, bigint] => [file, countIn(join(directory, file))]);
    const together = counts.reduce((sum, [, count]) => sum + count, 0n);
    if (together === cities) return [...counts, ['together', together]];
    if (performance.now() >= end) {
      throw new CliError(`the files have ${together} cities, the cluster has ${String(cities)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function countIn(file: string): bigint {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const row = database.prepare(COUNT).get() as { cities: number };
    return BigInt(row.cities);
  } finally {
    database.close();
  }
}
