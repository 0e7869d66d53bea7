import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'smol-toml';

/** The project's root: three folders above this file. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** What `wrangler.toml` says about the Worker, so that local and deployed clusters run the same one. */
export interface WorkerConfiguration {
  readonly name: string;
  /** Absolute path of the entry module. */
  readonly main: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** Binding name to class name. */
  readonly objects: ReadonlyMap<string, string>;
  readonly vars: Readonly<Record<string, string>>;
}

interface WranglerToml {
  readonly name: string;
  readonly main: string;
  readonly compatibility_date: string;
  readonly compatibility_flags?: string[];
  readonly durable_objects?: { readonly bindings?: { name: string; class_name: string }[] };
  readonly vars?: Record<string, unknown>;
}

export function readWorkerConfiguration(file: string = join(ROOT, 'wrangler.toml')): WorkerConfiguration {
  const toml = parse(readFileSync(file, 'utf8')) as unknown as WranglerToml;
  const bindings = toml.durable_objects?.bindings ?? [];
  return {
    name: toml.name,
    main: join(dirname(file), toml.main),
    compatibilityDate: toml.compatibility_date,
    compatibilityFlags: toml.compatibility_flags ?? [],
    objects: new Map(bindings.map((binding) => [binding.name, binding.class_name])),
    vars: Object.fromEntries(Object.entries(toml.vars ?? {}).map(([name, value]) => [name, String(value)])),
  };
}
