/**
 * Counters and histograms in Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). The usual library needs Node's `process`; this is
 * the part of it that a router uses.
 */
export interface Metric {
  /** Its lines, each ended. */
  text(): string;
}

/** Between the values of labels, in keys: no value contains it. */
const SEPARATOR = '\n';

export class Counter implements Metric {
  readonly #name: string;
  readonly #help: string;
  readonly #labels: readonly string[];
  readonly #counts = new Map<string, number>();

  /** Few values for each label: every combination is kept for ever. */
  constructor(name: string, help: string, labels: readonly string[] = []) {
    this.#name = name;
    this.#help = help;
    this.#labels = labels;
  }

  add(count: number, ...values: readonly string[]): void {
    const key = values.join(SEPARATOR);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  text(): string {
    let text = `# HELP ${this.#name} ${this.#help}\n# TYPE ${this.#name} counter\n`;
    for (const [key, count] of this.#counts) {
      text += `${this.#name}${labelsText(this.#labels, key)} ${count}\n`;
    }
    return text;
  }
}

interface Distribution {
  /** Observations up to each bound, and above the last; not cumulative, as they are printed. */
  readonly counts: number[];
  sum: number;
}

export class Histogram implements Metric {
  readonly #name: string;
  readonly #help: string;
  readonly #labels: readonly string[];
  readonly #bounds: readonly number[];
  readonly #distributions = new Map<string, Distribution>();

  /** `bounds` are the buckets' upper ones, ascending. */
  constructor(name: string, help: string, bounds: readonly number[], labels: readonly string[] = []) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#labels = labels;
  }

  observe(value: number, ...values: readonly string[]): void {
    const key = values.join(SEPARATOR);
    let distribution = this.#distributions.get(key);
    if (distribution === undefined) {
      distribution = { counts: new Array(this.#bounds.length + 1).fill(0), sum: 0 };
      this.#distributions.set(key, distribution);
    }
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++;
    distribution.counts[bucket] = (distribution.counts[bucket] as number) + 1;
    distribution.sum += value;
  }

  text(): string {
    let text = `# HELP ${this.#name} ${this.#help}\n# TYPE ${this.#name} histogram\n`;
    for (const [key, { counts, sum }] of this.#distributions) {
      let count = 0;
      for (const [index, own] of counts.entries()) {
        count += own;
        const bound = this.#bounds[index] === undefined ? '+Inf' : String(this.#bounds[index]);
        text += `${this.#name}_bucket${labelsText(this.#labels, key, `le="${bound}"`)} ${count}\n`;
      }
      text += `${this.#name}_sum${labelsText(this.#labels, key)} ${sum}\n`;
      text += `${this.#name}_count${labelsText(this.#labels, key)} ${count}\n`;
    }
    return text;
  }
}

function labelsText(names: readonly string[], key: string, more?: string): string {
  const values = key.split(SEPARATOR);
  const labels = names.map((name, index) => `${name}="${escaped(values[index] ?? '')}"`);
  if (more !== undefined) labels.push(more);
  return labels.length === 0 ? '' : `{${labels.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}
