import { AtollError } from '../protocol/error.ts';
import type { Database } from './database.ts';

/** How often a transaction that lost against an older one is tried in all (chosen; each time its age counts for more). */
export const WAIT_DIE_ATTEMPTS_MAX = 30;
/** Before the second try, ms; doubled each time, up to the longest (chosen: about what a transaction takes). */
const PAUSE_MS = 4;
const PAUSE_MS_MAX = 250;

/** Runs a transaction again while it loses against older ones. */
export async function untilItWins<T>(
  { metrics }: Database,
  deadline: number,
  run: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (!lostToOlder(error) || attempt === WAIT_DIE_ATTEMPTS_MAX) throw error;
      const pause = conflictPauseMs(attempt);
      if (Date.now() + pause >= deadline) throw error;
      metrics.retried('conflict');
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** After this attempt, before the next one. */
export function conflictPauseMs(attempt: number): number {
  return Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + Math.random());
}

/** Nothing was applied, and nothing shown: the same transaction may be tried again. */
export function lostToOlder(error: unknown): boolean {
  return error instanceof AtollError && error.code === 'conflict' && error.detail?.reason === 'wait-die';
}

/** Names an attempt: 128 random bits. */
export function attemptId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
