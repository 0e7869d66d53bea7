import { expect, test } from 'vitest';
import { temporaryDirectory } from '../cli/process.ts';
import { chaos } from './chaos.ts';

/** For minutes rather than seconds: `npm run chaos`. */
const SECONDS = 10;
const SEED = 1;

test('agents and workerd that are killed and cut off lose nothing, and end as the leaders are', async () => {
  const directory = temporaryDirectory();
  const lines: string[] = [];
  try {
    const report = await chaos({
      seconds: SECONDS,
      seed: SEED,
      directory: directory.path,
      log: (line) => lines.push(line),
    });
    const { lost, doubled, resurrected, invented, violations, defects, differences } = report;
    expect(
      { lost, doubled, resurrected, invented, violations, defects, differences },
      lines.join('\n'),
    ).toEqual({
      lost: [],
      doubled: [],
      resurrected: [],
      invented: [],
      violations: [],
      defects: [],
      differences: [],
    });
    // What did not happen was not shown.
    const { agentKills, workerdKills, cuts, freezes, wipes } = report.faults;
    expect(Math.min(agentKills, workerdKills, cuts, freezes, wipes)).toBeGreaterThan(0);
    expect(report.requests.get('session read ok')).toBeGreaterThan(10);
    expect(report.writes.acknowledged).toBeGreaterThan(30);
  } finally {
    directory.remove();
  }
}, 180_000);
