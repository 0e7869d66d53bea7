import cliProgress from 'cli-progress';
import * as figures from './figures.ts';
import { styleFor } from './style.ts';

export interface Progress {
  /** `done` in the unit of `total`; `items` is what people count: rows. */
  update(done: number, items: number): void;
  /** Ends with a line that says how much in what time. */
  finish(): void;
  /** Leaves the display for an error message. */
  abandon(): void;
}

export interface ProgressOptions {
  readonly label: string;
  /** Undefined where nobody knows: then there is no bar and no remaining time. */
  readonly total: number | undefined;
  /** What the rate is in. */
  readonly unit: 'bytes' | 'rows';
  readonly stream: NodeJS.WriteStream;
}

const LINE_EVERY_MS = 5_000;

/** A bar with rate and remaining time on a terminal; a line now and then elsewhere. */
export function startProgress(options: ProgressOptions): Progress {
  return options.stream.isTTY ? bar(options) : lines(options);
}

/** The last line of every progress: what was done, in what time, at what rate. */
function summary({ label, unit }: ProgressOptions, done: number, items: number, startedAt: number): string {
  const ms = Math.max(1, performance.now() - startedAt);
  const amount = unit === 'rows' ? figures.plural(items, 'row') : figures.bytes(done);
  return `${label}  ${amount} in ${figures.duration(ms)} (${rate(unit, done, items, ms)})`;
}

function rate(unit: ProgressOptions['unit'], done: number, items: number, ms: number): string {
  return unit === 'rows'
    ? `${figures.count((items / ms) * 1_000)} rows/s`
    : `${figures.bytes((done / ms) * 1_000)}/s`;
}

function bar(options: ProgressOptions): Progress {
  const style = styleFor(options.stream);
  const startedAt = performance.now();
  let last = { done: 0, items: 0 };
  const display = new cliProgress.SingleBar(
    {
      stream: options.stream,
      hideCursor: true,
      clearOnComplete: true,
      fps: 15,
      barsize: 30,
      format: (settings) => {
        const ms = Math.max(1, performance.now() - startedAt);
        const share =
          options.total === undefined ? undefined : Math.min(1, last.done / Math.max(1, options.total));
        const amount = options.unit === 'rows' ? figures.plural(last.items, 'row') : figures.bytes(last.done);
        const speed = rate(options.unit, last.done, last.items, ms);
        if (share === undefined) return `${options.label}  ${amount}  ${style.dim(speed)}`;
        const left = share > 0 && share < 1 ? `  ${figures.duration((ms / share) * (1 - share))} left` : '';
        const drawn = style.cyan(cliProgress.Format.BarFormat(share, settings));
        const percent = `${Math.floor(share * 100)}%`.padStart(4);
        return `${options.label}  ${drawn} ${percent}  ${amount}  ${style.dim(`${speed}${left}`)}`;
      },
    },
    cliProgress.Presets.shades_classic,
  );
  display.start(options.total ?? 1, 0);
  return {
    update: (done, items) => {
      last = { done, items };
      display.update(Math.min(done, options.total ?? 1));
    },
    finish: () => {
      display.stop();
      options.stream.write(`${summary(options, last.done, last.items, startedAt)}\n`);
    },
    abandon: () => display.stop(),
  };
}

function lines(options: ProgressOptions): Progress {
  const startedAt = performance.now();
  let last = { done: 0, items: 0 };
  let printedAt = startedAt;
  return {
    update: (done, items) => {
      last = { done, items };
      const now = performance.now();
      if (now - printedAt < LINE_EVERY_MS) return;
      printedAt = now;
      options.stream.write(`${summary(options, done, items, startedAt)}\n`);
    },
    finish: () => void options.stream.write(`${summary(options, last.done, last.items, startedAt)}\n`),
    abandon: () => undefined,
  };
}
