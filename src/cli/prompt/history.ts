import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const LINES_MAX = 1_000;

/** https://specifications.freedesktop.org/basedir-spec/: a history is state. */
export function historyFile(): string {
  const state = process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state');
  return join(state, 'atoll', 'history');
}

/** Newest first, as readline wants it. */
export function readHistory(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).reverse();
  } catch {
    return [];
  }
}

/** Statements may hold what only their author should see: the file is for them alone. */
export function writeHistory(file: string, newestFirst: readonly string[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const lines = newestFirst.slice(0, LINES_MAX).reverse();
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  } catch {
    // A prompt without history is better than none.
  }
}
