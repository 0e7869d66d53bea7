import { build, stop } from 'esbuild';
import { CliError } from '../failure.ts';

/** The Worker as one ES module, as `wrangler deploy` would build it. */
export async function bundleWorker(entry: string): Promise<string> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    sourcemap: 'inline',
    logLevel: 'silent',
  }).catch((error: Error) => {
    throw new CliError(`the Worker does not build: ${error.message}`);
  });
  // esbuild's own process would stay as long as this one.
  await stop();
  const output = result.outputFiles[0];
  if (output === undefined) throw new CliError(`the Worker does not build: ${entry} gives no output`);
  return output.text;
}
