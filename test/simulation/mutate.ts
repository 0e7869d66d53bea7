import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../tidy/sources.ts';
import type { Mutant } from './mutants.ts';

/** From now on, modules that are loaded have the defect in them. Call it before the code under test is loaded. */
export function plant({ name, file, find, replace }: Mutant): void {
  let planted = false;
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.startsWith('file:') || fileURLToPath(url) !== join(ROOT, file)) return loaded;
      const source = String(loaded.source);
      if (source.split(find).length !== 2)
        throw new Error(`'${name}': ${file} has no such place, or several`);
      planted = true;
      return { ...loaded, source: source.replace(find, () => replace) };
    },
  });
  process.on('exit', () => {
    if (planted) return;
    console.error(`'${name}': ${file} was never loaded`);
    process.exitCode = 1;
  });
}
