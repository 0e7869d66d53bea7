export interface Row {
  readonly what: string;
  readonly perSecond: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** Against another row of the same run: machines differ, ratios less. */
  readonly ratios: Readonly<Record<string, number>>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function printRows(rows: readonly Row[]): void {
  const width = Math.max(...rows.map(({ what }) => what.length));
  for (const { what, perSecond, p50Ms, p99Ms, ratios } of rows) {
    const times =
      p50Ms === undefined ? '' : `  p50 ${p50Ms.toFixed(2)} ms  p99 ${(p99Ms ?? 0).toFixed(2)} ms`;
    const shown = Object.entries(ratios).map(([name, ratio]) => `${ratio.toFixed(2)} ${name}`);
    console.log(
      `${what.padEnd(width)}  ${Math.round(perSecond).toLocaleString('en').padStart(9)}/s${times}  ${shown.join(', ')}`,
    );
  }
}
