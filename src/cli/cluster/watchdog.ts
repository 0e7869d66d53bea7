export interface WatchdogOptions {
  /** Resolves when the watched one lives; may reject or never settle when it does not. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>;
  /** Called once for each silence of `silenceMaxMs`. */
  readonly restart: () => Promise<void>;
  readonly intervalMs: number;
  readonly silenceMaxMs: number;
  /** As `silenceMaxMs`, where probes are refused at once: nobody is there that could still wake up. */
  readonly absenceMaxMs: number;
  readonly now?: () => number;
}

/** Stops watching. */
export type StopWatchdog = () => void;

/**
 * Restarts what has been silent too long, or gone. workerd cannot interrupt SQLite: one statement that runs for ever
 * blocks every object of the process, and a client that hangs up stops nothing. Probes go one after another;
 * one that hangs is itself the silence.
 */
export function startWatchdog(options: WatchdogOptions): StopWatchdog {
  const now = options.now ?? Date.now;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let aliveAt = now();

  const round = async (): Promise<void> => {
    const left = Math.max(1, options.silenceMaxMs - (now() - aliveAt));
    const patience = AbortSignal.timeout(left);
    const alive = await options.probe(patience).then(
      () => true,
      () => false,
    );
    if (stopped) return;
    const limit = patience.aborted ? options.silenceMaxMs : options.absenceMaxMs;
    if (alive) aliveAt = now();
    else if (now() - aliveAt >= limit) {
      await options.restart();
      aliveAt = now();
    }
    if (!stopped) timer = setTimeout(round, options.intervalMs);
  };

  timer = setTimeout(round, options.intervalMs);
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
