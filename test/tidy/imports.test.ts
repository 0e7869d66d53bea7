import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importsOf, ROOT, sourcesOf, targetOf } from './sources.ts';

/** What each folder may import from, besides itself: ARCHITECTURE.md, Layers. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'src/base': [],
  'src/protocol': ['src/base'],
  'src/core': ['src/base', 'src/protocol'],
  'src/rpc': ['src/base', 'src/protocol', 'src/core'],
  'src/gateway': ['src/base', 'src/protocol', 'src/core'],
  'src/partition': ['src/base', 'src/protocol', 'src/core', 'src/rpc', 'src/gateway'],
  'src/workers': ['src/base', 'src/protocol', 'src/core', 'src/rpc', 'src/gateway'],
  'src/objects': [
    'src/base',
    'src/protocol',
    'src/core',
    'src/rpc',
    'src/gateway',
    'src/partition',
    'src/workers',
  ],
  'src/node-agent': ['src/base', 'src/protocol', 'src/core', 'src/rpc', 'src/gateway', 'src/partition'],
  'src/client': ['src/base', 'src/protocol'],
  'src/cli': ['src/base', 'src/protocol', 'src/client'],
};

/** Single files that may do what their folder may not, with the reason. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  // The runtime finds object classes among the entry's exports.
  'src/workers/index.ts': ['src/objects/partition-object.ts'],
  // The command starts the agent.
  'src/cli/commands/agent.ts': ['src/node-agent/agent.ts'],
  // The command says what is to be founded, and prints what lets others in.
  'src/cli/commands/agent-leading.ts': [
    'src/node-agent/leading/credential.ts',
    'src/node-agent/leading/leadership.ts',
  ],
  // The command prints what was recovered.
  'src/cli/commands/agent-recover.ts': ['src/node-agent/recovery/report.ts'],
  // A script is split into statements by the same parser that the router has.
  'src/client/script.ts': [
    'src/core/sql/ast.ts',
    'src/core/sql/parse.ts',
    'src/core/sql/error.ts',
    'src/core/schema/foreign-keys-switch.ts',
  ],
};

/** Folders of core, lower ones first: each imports only from those before it. */
const CORE = [
  'sqlite',
  'clock',
  'sql',
  'schema',
  'network',
  'log',
  'plan',
  'execution',
  'transaction',
  'replica',
  'replication',
];

/** Edges of core that go the other way, with the reason. */
const CORE_EXCEPTIONS: readonly string[] = [
  // Analysis resolves names against the catalogue, which is plain data.
  'sql/analysis -> schema',
  // A schema change carries the log of its tables along.
  'schema/change-planner.ts -> log',
  'schema/apply-change.ts -> log',
  // A row's element id is a table's key.
  'log -> schema',
];

function folderOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

describe('imports', () => {
  const sources = sourcesOf('src');

  test('every folder of src has its place among the layers', () => {
    expect(new Set(sources.map(({ path }) => folderOf(path)))).toEqual(new Set(Object.keys(ALLOWED)));
  });

  test('go from a layer to those below it only', () => {
    const wrong = sources.flatMap((source) =>
      importsOf(source)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => targetOf(source, specifier))
        .filter((target) => {
          const [from, to] = [folderOf(source.path), folderOf(target)];
          return from !== to && !ALLOWED[from]?.includes(to) && !EXCEPTIONS[source.path]?.includes(target);
        })
        .map((target) => `${source.path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('within core go from a folder to those below it only', () => {
    const wrong = sources
      .filter(({ path }) => path.startsWith('src/core/'))
      .flatMap((source) =>
        importsOf(source)
          .map(({ specifier }) => targetOf(source, specifier))
          .filter((target) => target.startsWith('src/core/') && !isDownward(source.path, target))
          .map((target) => `${source.path} -> ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  test('name files that exist, with their extension', () => {
    const missing = sources.flatMap((source) =>
      importsOf(source)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => targetOf(source, specifier))
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${source.path} -> ${target}`),
    );
    expect(missing).toEqual([]);
  });
});

function isDownward(from: string, to: string): boolean {
  const [, , own = '', ...rest] = from.split('/');
  const [, , other = ''] = to.split('/');
  if (own === other || CORE.indexOf(other) < CORE.indexOf(own)) return true;
  const place = [`${own}/${rest[0]}`, own];
  return place.some((start) => CORE_EXCEPTIONS.includes(`${start} -> ${other}`));
}
