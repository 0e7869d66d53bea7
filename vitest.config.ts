import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** These start servers on ports next to each other, or must do much in a given time: one file after another. */
const PROCESSES = ['test/agents/**/*.test.ts', 'test/cli/**/*.test.ts', 'test/data-format/**/*.test.ts'];

/**
 * Storage threads that find their code here need no WebAssembly to strip its types, which in threads that come and go crashes
 * V8 now and then (`Check failed: jit_page.has_value()`, https://github.com/nodejs/node/issues/64500).
 */
const COMPILED = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL('./node_modules/.cache/atoll', import.meta.url)),
};

/** `*.test.ts` runs on Node; `*.workerd.test.ts` runs inside workerd, with the Worker's own bindings. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['**/*.workerd.test.ts', ...PROCESSES, 'node_modules/**'],
          env: COMPILED,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'processes',
          include: PROCESSES,
          env: COMPILED,
          exclude: ['**/*.workerd.test.ts', 'node_modules/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: { bindings: { ATOLL_SECRET: 'the secret of the tests' } },
          }),
        ],
        test: {
          name: 'workerd',
          include: ['test/**/*.workerd.test.ts'],
          exclude: ['test/core/**', 'node_modules/**'],
          testTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        // What `core` does over a Durable Object's storage needs no Worker of Atoll's.
        plugins: [cloudflareTest({ wrangler: { configPath: './test/workerd/wrangler.toml' } })],
        test: {
          name: 'workerd-storage',
          include: ['test/core/**/*.workerd.test.ts'],
          testTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
