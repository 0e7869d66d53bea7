import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

/** Chosen: the parser travels in every Worker, whose own limit is 3 MB gzipped. */
const GZIPPED_MAX = 20_000;

test('size: the whole parser, minified and gzipped', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents: "export * from './parse.ts'; export * from './walk.ts'; export * from './splice.ts';",
      resolveDir: join(import.meta.dirname, '../../../src/core/sql'),
      loader: 'ts',
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2024',
    write: false,
  });
  const bytes = outputFiles[0]?.contents;
  expect(bytes?.byteLength).toBeGreaterThan(GZIPPED_MAX / 2);
  expect(gzipSync(bytes ?? '', { level: 9 }).byteLength).toBeLessThan(GZIPPED_MAX);
});
