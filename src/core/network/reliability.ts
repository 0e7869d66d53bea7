import { assert } from '../../base/assert.ts';

/**
 * How much a host is trusted to answer, as one observer saw it. Additive rise, multiplicative fall: a host that
 * fails a share p of its calls settles near 2p ÷ (1 − p), so the limits below mean two thirds and one third.
 * Plain JSON, at most about 2 KB. Time is in ms since 1970, of the observer's clock; it may step back.
 */
export interface Reliability {
  /** Unreliability at `atMs`, from 0. */
  readonly score: number;
  readonly atMs: number;
  readonly unavailable: boolean;
  /** Timeouts since the last success. */
  readonly retries: number;
  /** Before that, a call is not worth trying unless nobody else is left. */
  readonly nextTryMs: number;
  /** Oldest first, at most `HISTORY_MAX`. */
  readonly history: readonly ReliabilityRun[];
}

/** Equal outcomes in a row. */
export interface ReliabilityRun {
  readonly outcome: 'timeout' | 'success';
  readonly sinceMs: number;
  readonly lastMs: number;
  readonly count: number;
  /** After its last event. */
  readonly score: number;
}

/** Chosen: a host is `unavailable` from here: four timeouts in a row, or two thirds of many calls. */
export const UNAVAILABLE_SCORE = 4;
/** Chosen: and comes back at a success that leaves it at most here. Two limits, so that it does not flap. */
export const AVAILABLE_SCORE = 1;
/** Chosen: the largest score; from there three successes bring a host back. */
export const SCORE_MAX = 8;
/** Chosen: what was long ago counts half every five minutes. */
export const HALF_LIFE_MS = 5 * 60_000;
/** Chosen: the first retry, and the longest wait between two. */
export const RETRY_FIRST_MS = 250;
export const RETRY_MAX_MS = 30_000;
/** Chosen: runs kept. */
export const HISTORY_MAX = 24;

export function freshReliability(nowMs: number): Reliability {
  return { score: 0, atMs: nowMs, unavailable: false, retries: 0, nextTryMs: nowMs, history: [] };
}

/** The decayed score. A clock that stepped back decays nothing. */
export function scoreAt({ score, atMs }: Reliability, nowMs: number): number {
  return score * 2 ** (-Math.max(0, nowMs - atMs) / HALF_LIFE_MS);
}

/** A call got no answer in time. `chance` in [0, 1) spreads the retries of many observers. */
export function timedOut(state: Reliability, nowMs: number, chance: number): Reliability {
  const score = Math.min(SCORE_MAX, scoreAt(state, nowMs) + 1);
  const retries = state.retries + 1;
  return {
    score,
    atMs: nowMs,
    unavailable: state.unavailable || score >= UNAVAILABLE_SCORE,
    retries,
    nextTryMs: nowMs + retryIntervalMs(retries, chance),
    history: noted(state.history, 'timeout', nowMs, score),
  };
}

/** A call was answered, be it by an error. Only this makes a host available again; time alone does not. */
export function succeeded(state: Reliability, nowMs: number): Reliability {
  const score = scoreAt(state, nowMs) / 2;
  return {
    score,
    atMs: nowMs,
    unavailable: state.unavailable && score > AVAILABLE_SCORE,
    retries: 0,
    nextTryMs: nowMs,
    history: noted(state.history, 'success', nowMs, score),
  };
}

export function mayTry({ retries, nextTryMs }: Reliability, nowMs: number): boolean {
  return retries === 0 || nowMs >= nextTryMs;
}

/** Since when the host has not answered; null if its last call was answered or there was none. */
export function silentSince({ history }: Reliability): number | null {
  const last = history.at(-1);
  return last?.outcome === 'timeout' ? last.sinceMs : null;
}

/**
 * Exponential back-off with "equal jitter": between a half and the whole of the bound, which doubles (M. Brooker,
 * "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export function retryIntervalMs(retries: number, chance: number): number {
  assert(retries >= 1 && chance >= 0 && chance < 1, 'retries count from 1, chance is in [0, 1)');
  const bound = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(retries - 1, 30));
  return Math.round((bound * (1 + chance)) / 2);
}

function noted(
  history: readonly ReliabilityRun[],
  outcome: ReliabilityRun['outcome'],
  nowMs: number,
  score: number,
): readonly ReliabilityRun[] {
  const last = history.at(-1);
  if (last?.outcome === outcome) {
    return [...history.slice(0, -1), { ...last, lastMs: nowMs, count: last.count + 1, score }];
  }
  return [...history, { outcome, sinceMs: nowMs, lastMs: nowMs, count: 1, score }].slice(-HISTORY_MAX);
}
