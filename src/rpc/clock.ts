/** Time as a link needs it; an input, so that tests and the simulator have their own. */
export interface LinkClock {
  /** Unix milliseconds. */
  now(): number;
  /** Runs `action` once, `delayMs` from now, unless what it returns is called before. */
  after(delayMs: number, action: () => void): () => void;
}

export const systemClock: LinkClock = {
  now: () => Date.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
};
