import { AtollError } from '../protocol/error.ts';
import type { Session } from './statements.ts';

/** How often a transaction that lost against an older one is tried in all (chosen; each time its age counts for more). */
export const WAIT_DIE_ATTEMPTS_MAX = 30;
/** Before the second try, ms; doubled each time, up to the longest (chosen: about what a transaction takes). */
const PAUSE_MS = 4;
const PAUSE_MS_MAX = 250;

/** Runs a transaction again while it loses against older ones. */
export async function untilItWins<T>(
  session: Pick<Session, 'database' | 'context'>,
  run: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (!lostToOlder(error) || attempt === WAIT_DIE_ATTEMPTS_MAX) throw error;
      if (!(await pauseAfterConflict(session, attempt))) throw error;
    }
  }
}

/** After this attempt, before the next one. False: there is no time for one. */
export async function pauseAfterConflict(
  { database, context }: Pick<Session, 'database' | 'context'>,
  attempt: number,
): Promise<boolean> {
  const pause = conflictPauseMs(attempt);
  if (Date.now() + pause >= context.deadline) return false;
  database.metrics.retried('conflict');
  await new Promise((resolve) => setTimeout(resolve, pause));
  return true;
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
