import { type Client, createClient, type ImportSource } from '../../client/index.ts';
import { describeNetwork } from '../commands/status.ts';
import { describeFailure } from '../failure.ts';
import { networkView } from '../network-view.ts';
import { startProgress } from '../terminal/progress.ts';
import { styleFor } from '../terminal/style.ts';
import { agentSteps, type DemoAgents } from './agents.ts';
import { CREDITS, type DemoData } from './data.ts';
import { Stage } from './stage.ts';
import { SCHEMA, STEPS } from './tour.ts';

export interface Outcome {
  readonly steps: number;
  readonly failed: number;
}

/** Loads the data and gives the tour. Resolves with how many steps there were, and how many did not go as they should. */
export async function present(
  url: string,
  token: string,
  data: DemoData,
  directory: string,
  agents: DemoAgents,
  signal: AbortSignal,
): Promise<Outcome> {
  const style = styleFor(process.stdout);
  const client = createClient({ url, token, integers: 'bigint' });
  const stage = new Stage(client, directory, process.stdout, style);
  const steps = [...STEPS, ...agentSteps(agents)];

  stage.heading('Atoll', `a tour in ${steps.length} steps`);
  stage.note(
    'A SQL database spread over Durable Objects. This is a cluster of its own on this machine: the Worker and its objects run in workerd, as they do on Cloudflare.',
  );
  process.stdout.write(`\n${indent(describeNetwork(networkView(await client.network()), url))}\n`);

  stage.heading('Real data');
  process.stdout.write(CREDITS.map((line) => `  ${line}\n`).join(''));
  for (const sql of SCHEMA) await stage.query(sql);
  process.stdout.write('\n');
  await load(client, 'countries', data.countries.length, data.countries);
  await load(client, 'cities', data.cityCount, data.cities());

  let failed = 0;
  for (const [index, step] of steps.entries()) {
    if (signal.aborted) break;
    stage.heading(step.title, `${index + 1} of ${steps.length}`);
    stage.note(step.why);
    try {
      await step.run(stage);
    } catch (error) {
      // What an interrupted tour finds is a cluster that is being stopped.
      if (signal.aborted) break;
      failed++;
      process.stdout.write(`\n  ${style.red('error:')} ${describeFailure(error).message}\n`);
    }
  }
  return { steps: steps.length, failed };
}

async function load(client: Client, table: string, total: number, source: ImportSource): Promise<void> {
  const label = `  ${table.padEnd('countries'.length)}`;
  const progress = startProgress({ label, total, unit: 'rows', stream: process.stdout });
  await client.import(table, source, { onProgress: ({ rows }) => progress.update(rows, rows) });
  progress.finish();
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
