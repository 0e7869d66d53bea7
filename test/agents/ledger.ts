/** What a client knows of one of its writes: docs/protocol.md, "Errors". */
export type Fate = 'acknowledged' | 'unknown' | 'failed';

/** What was tried with one row, which is named by its tenant and number. */
export interface Attempt {
  insert: Fate;
  /** Null: nobody has tried to delete it. */
  delete: Fate | null;
}

/** All that clients have written, and what they were told of it. */
export class Ledger {
  readonly #rows = new Map<string, Map<number, Attempt>>();
  /** Highest value that was acknowledged, and that was tried, of each register. */
  readonly #registers = new Map<string, { acknowledged: number; tried: number }>();
  readonly counts: Record<Fate, number> = { acknowledged: 0, unknown: 0, failed: 0 };
  /** Longest time in which nobody's write was acknowledged, ms. */
  longestSilenceMs = 0;
  #acknowledgedAt = Date.now();

  inserted(tenant: string, number: number, fate: Fate): void {
    this.#count(fate);
    this.#of(tenant).set(number, { insert: fate, delete: null });
  }

  deleted(tenant: string, number: number, fate: Fate): void {
    this.#count(fate);
    const attempt = this.#of(tenant).get(number);
    if (attempt !== undefined) attempt.delete = fate;
  }

  raised(register: string, value: number, fate: Fate): void {
    this.#count(fate);
    const { acknowledged = 0, tried = 0 } = this.#registers.get(register) ?? {};
    this.#registers.set(register, {
      acknowledged: fate === 'acknowledged' ? Math.max(acknowledged, value) : acknowledged,
      tried: fate === 'failed' ? tried : Math.max(tried, value),
    });
  }

  /** What is wrong with the rows that are there in the end. `found`: tenant and number of each row; `registers`: name and value. */
  judge(
    found: readonly (readonly [string, number])[],
    registers: readonly (readonly [string, number])[],
  ): LedgerReport {
    const times = new Map<string, number>();
    for (const [tenant, number] of found) {
      const key = `${tenant}/${number}`;
      times.set(key, (times.get(key) ?? 0) + 1);
    }
    const report: LedgerReport = { lost: [], doubled: [], resurrected: [], invented: [] };
    for (const [tenant, attempts] of this.#rows) {
      for (const [number, { insert, delete: removed }] of attempts) {
        const key = `${tenant}/${number}`;
        const there = times.get(key) ?? 0;
        times.delete(key);
        if (there > 1) report.doubled.push(key);
        if (insert === 'failed' && there > 0) report.invented.push(key);
        if (insert === 'acknowledged' && there === 0 && (removed === null || removed === 'failed'))
          report.lost.push(key);
        if (removed === 'acknowledged' && there > 0) report.resurrected.push(key);
      }
    }
    report.invented.push(...times.keys());
    const values = new Map(registers);
    for (const [name, { acknowledged, tried }] of this.#registers) {
      const value = values.get(name) ?? 0;
      if (value < acknowledged) report.lost.push(`register ${name}: ${value} < ${acknowledged}`);
      if (value > tried) report.invented.push(`register ${name}: ${value} > ${tried}`);
    }
    return report;
  }

  #count(fate: Fate): void {
    this.counts[fate]++;
    if (fate !== 'acknowledged') return;
    const now = Date.now();
    this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#acknowledgedAt);
    this.#acknowledgedAt = now;
  }

  #of(tenant: string): Map<number, Attempt> {
    let attempts = this.#rows.get(tenant);
    if (attempts === undefined) {
      attempts = new Map();
      this.#rows.set(tenant, attempts);
    }
    return attempts;
  }
}

export interface LedgerReport {
  /** Acknowledged, and not there. */
  readonly lost: string[];
  /** There more than once. */
  readonly doubled: string[];
  /** Acknowledged as deleted, and there. */
  readonly resurrected: string[];
  /** There, though nobody wrote it, or though it was answered that nothing was applied. */
  readonly invented: string[];
}
