import { type Run, wholeRun } from './run.ts';

/** The command that repeats a run. */
export function commandOf({ seed, without, operations, clients }: Run, mutant: string): string {
  const words = ['npm run simulate --', `--from ${seed} --seeds 1`];
  if (without.size > 0) words.push(`--without ${inRanges(without)}`);
  if (Number.isFinite(operations)) words.push(`--operations ${operations}`);
  if (Number.isFinite(clients)) words.push(`--clients ${clients}`);
  if (mutant !== '') words.push(`--mutant '${mutant}'`);
  return words.join(' ');
}

/** As a command line says it; see {@link commandOf}. */
export function runOf(
  seed: number,
  said: { readonly without: string; readonly operations: string; readonly clients: string },
): Run {
  const limit = (text: string) => (text === '' ? Number.POSITIVE_INFINITY : Number(text));
  return {
    ...wholeRun(seed),
    without: outOfRanges(said.without),
    operations: limit(said.operations),
    clients: limit(said.clients),
  };
}

/** `0-3,7` */
function inRanges(numbers: ReadonlySet<number>): string {
  const ranges: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');
}

function outOfRanges(text: string): Set<number> {
  const numbers = new Set<number>();
  for (const range of text.split(',').filter((each) => each !== '')) {
    const [from, to] = range.split('-').map(Number) as [number, number | undefined];
    for (let number = from; number <= (to ?? from); number++) numbers.add(number);
  }
  return numbers;
}
