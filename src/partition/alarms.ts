export type AlarmReason = 'deliver' | 'watch' | 'settle' | 'build';
const REASONS: readonly AlarmReason[] = ['deliver', 'watch', 'settle', 'build'];

/** Several alarms in the one that a partition has. */
export class Alarms {
  readonly #setAlarm: (at: number) => void;
  /** Unix milliseconds. */
  readonly #wanted = new Map<AlarmReason, number>();

  constructor(setAlarm: (at: number) => void) {
    this.#setAlarm = setAlarm;
  }

  /** By then at the latest. */
  want(reason: AlarmReason, at: number): void {
    const before = this.#wanted.get(reason);
    // Setting an alarm is a write: what rings early enough stays.
    if (before !== undefined && before <= at) return;
    this.#wanted.set(reason, at);
    this.#arm();
  }

  /** What the alarm that rings now is for; one that an earlier instance has set may be for anything. */
  due(now: number): ReadonlySet<AlarmReason> {
    const due = new Set(
      REASONS.filter((reason) => (this.#wanted.get(reason) ?? Number.POSITIVE_INFINITY) <= now),
    );
    if (due.size === 0) for (const reason of REASONS) due.add(reason);
    for (const reason of due) this.#wanted.delete(reason);
    if (this.#wanted.size > 0) this.#arm();
    return due;
  }

  #arm(): void {
    this.#setAlarm(Math.min(...this.#wanted.values()));
  }
}
