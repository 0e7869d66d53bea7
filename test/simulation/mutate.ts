import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../tidy/sources.ts';
import type { Mutant } from './mutant.ts';
import { MUTANTS } from './mutants.ts';

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

/** Plants the defect whose name contains the text; none if it is empty. */
export function plantNamed(text: string): void {
  if (text === '') return;
  const [mutant, other] = MUTANTS.filter(({ name }) => name.includes(text));
  if (mutant === undefined || other !== undefined) throw new Error(`'${text}' names no defect, or several`);
  plant(mutant);
}
