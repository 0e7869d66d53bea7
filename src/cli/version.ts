import { readFileSync } from 'node:fs';

/** Of package.json, which is the one place that says it. */
export function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
