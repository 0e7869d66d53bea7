/**
 * Resolves when this process is told to stop: SIGINT, SIGTERM, SIGHUP, or the end of the process that started it
 * (`bin/atoll` holds a channel open). A terminal sends Ctrl-C to both, and the starter passes its own on, so the
 * same request may come twice: further ones are ignored while stopping, until `PATIENCE_MS` have passed.
 */
export function onStop(): Promise<void> {
  return new Promise((resolve) => {
    let askedAt: number | undefined;
    const stop = (): void => {
      if (askedAt !== undefined && Date.now() - askedAt > PATIENCE_MS) process.exit(130);
      askedAt ??= Date.now();
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
    if (process.channel !== undefined) {
      process.on('disconnect', stop);
      // Listening must not keep a process alive that has nothing left to do.
      process.channel?.unref();
    }
  });
}

/** Stopping takes some 100 ms; somebody who asks again after this means it. */
const PATIENCE_MS = 3_000;
