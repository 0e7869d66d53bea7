import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Source {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
}

/** Every TypeScript file below `folder`. */
export function sourcesOf(folder: string): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: relative(ROOT, file), text: readFileSync(file, 'utf8') }));
}

const IMPORT = /(?:^|\n)\s*(?:import|export)\b([^'";]*?)\bfrom\s+'([^']+)'/g;
const BARE_IMPORT = /(?:^|\n)\s*import\s+'([^']+)'/g;

export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

export function importsOf({ text }: Source): Import[] {
  const named = [...text.matchAll(IMPORT)].map(([, clause = '', specifier = '']) => ({
    specifier,
    typeOnly: /^\s*type\b/.test(clause),
  }));
  const bare = [...text.matchAll(BARE_IMPORT)].map(([, specifier = '']) => ({ specifier, typeOnly: false }));
  return [...named, ...bare];
}

/** The path that a relative import means, from the project's root. */
export function targetOf(source: Source, specifier: string): string {
  return relative(ROOT, join(ROOT, source.path, '..', specifier));
}
