import { FailedRun, type Run, runSeed } from './run.ts';

/** Runs that a shrinking may take (chosen: a minute). */
const RUNS_MAX = 150;
/** Operations of a client that are tried, least first (chosen). */
const OPERATIONS = [1, 2, 4, 8, 16, 32, 64];

export interface Shrunk {
  readonly run: Run;
  readonly failure: FailedRun;
  readonly runs: number;
}

/**
 * Less and less of a run that failed, as long as it fails in the same way: faults by halves and then one by one (A. Zeller,
 * R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), then clients, then operations.
 */
export async function shrink(
  whole: Run,
  first: FailedRun,
  failureOf: (run: Run) => Promise<FailedRun | null> = failureOfRun,
): Promise<Shrunk> {
  let [run, failure, runs] = [whole, first, 0];
  const fails = async (less: Run): Promise<boolean> => {
    if (runs >= RUNS_MAX) return false;
    runs++;
    const failed = await failureOf(less);
    if (failed === null || kindOf(failed) !== kindOf(first)) return false;
    [run, failure] = [less, failed];
    return true;
  };
  let present = [...first.plan.keys()].filter((number) => !whole.without.has(number));
  const lacking = (numbers: readonly number[]): Run => ({
    ...run,
    without: new Set([...run.without, ...numbers]),
  });
  if (await fails(lacking(present))) present = [];
  for (
    let size = Math.ceil(present.length / 2);
    size >= 1 && present.length > 0;
    size = Math.floor(size / 2)
  ) {
    for (let start = 0; start < present.length; ) {
      const chunk = present.slice(start, start + size);
      if (await fails(lacking(chunk))) present = present.filter((number) => !chunk.includes(number));
      else start += size;
    }
  }
  for (let clients = 1; clients < first.clients; clients++) if (await fails({ ...run, clients })) break;
  for (const operations of OPERATIONS) if (await fails({ ...run, operations })) break;
  return { run, failure, runs };
}

async function failureOfRun(run: Run): Promise<FailedRun | null> {
  try {
    await runSeed(run);
    return null;
  } catch (error) {
    if (error instanceof FailedRun) return error;
    throw error;
  }
}

/** What the message begins with: the anomaly. */
function kindOf({ message }: FailedRun): string {
  return message.split(':')[0] ?? '';
}
