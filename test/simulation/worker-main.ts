import { plantNamed } from './mutate.ts';

/** Runs the seeds that its parent sends, one after another (seeds.ts). */
const [mutant = ''] = process.argv.slice(2);
plantNamed(mutant);
const { runSeed } = await import('./run.ts');

process.on('message', async (seed: number) => {
  try {
    process.send?.({ seed, report: await runSeed(seed) });
  } catch (error) {
    const shown = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    process.send?.({ seed, error: shown instanceof Error ? (shown.stack ?? shown.message) : String(shown) });
  }
});
