import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Running, type RunOptions, start } from '../cli/process.ts';
import { SECRET, type TestEdge, TOKEN } from './edge.ts';

export interface AgentProcess {
  readonly running: Running;
  /** Where it serves, once it has all that the leaders have. */
  ready(): Promise<string>;
}

/** `atoll agent` as a process of its own. */
export function startAgent(
  edge: TestEdge,
  data: string,
  more: readonly string[] = [],
  options: RunOptions = {},
): AgentProcess {
  const running = start(['agent', '--join', edge.url, '--data', data, '--port', '0', ...more], {
    ...options,
    env: { ATOLL_SECRET: SECRET, ATOLL_TOKEN: TOKEN, ...options.env },
  });
  return {
    running,
    ready: async () => (await running.seen(/^ready (\S+)$/m))[1] as string,
  };
}

/** What the agent has written to its log, as far as it came. */
export function events(log: string): { event: string; [field: string]: unknown }[] {
  return log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

/** Rows of all partitions' files together, ordered, as another program reads them. Nothing of a file that is not there yet. */
export function rowsInFiles(data: string, partitions: number, sql: string): unknown[][] {
  return Array.from({ length: partitions }, (_, index) => index + 1)
    .flatMap((partition) => rowsOf(join(data, 'main', `${partition}.sqlite`), sql))
    .sort(([a], [b]) => Number(a) - Number(b));
}

function rowsOf(file: string, sql: string): unknown[][] {
  if (!existsSync(file)) return [];
  const database = new DatabaseSync(file, { readOnly: true, returnArrays: true });
  try {
    return database.prepare(sql).all() as unknown as unknown[][];
  } catch (error) {
    // Before the schema has come.
    if (/no such table/.test(String(error))) return [];
    throw error;
  } finally {
    database.close();
  }
}

/** Resolves when `probe` gives a value other than null; rejects with what it last saw when a test's patience ends. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null> | T | null,
  patienceMs = 30_000,
): Promise<T> {
  const end = Date.now() + patienceMs;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value !== null) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not in time: ${what}`, { cause: last });
}
