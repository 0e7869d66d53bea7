import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ENCODING_VERSION } from '../../src/core/log/encoding.ts';
import { FORMAT_VERSION } from '../../src/core/replica/format.ts';
import { SNAPSHOT_VERSION } from '../../src/core/replication/snapshot-format.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import { ROOT } from '../tidy/sources.ts';

const MESSAGES = [
  'certify.ts',
  'execute.ts',
  'export.ts',
  'feed.ts',
  'freeze.ts',
  'host-view.ts',
  'hosts.ts',
  'import.ts',
  'interactive.ts',
  'link.ts',
  'lookup.ts',
  'many.ts',
  'network.ts',
  'replication.ts',
  'restore.ts',
  'rpc.ts',
  'schema.ts',
  'session-seal.ts',
  'session.ts',
  'settings.ts',
  'token.ts',
  'transaction.ts',
];

/**
 * What is on the wire or on disk is for ever. Where one of these fails, either take the change back, or step the version:
 * write its line of history, the upgrade, and the new hash here.
 */
describe('formats', () => {
  test('messages between hosts are those of their RPC version', () => {
    expect({
      version: RPC_VERSION,
      hash: hashOf(MESSAGES.map((file) => `src/protocol/${file}`)),
    }).toMatchInlineSnapshot(`
      {
        "hash": "9589665f211885f6",
        "version": 8,
      }
    `);
  });

  test('frames and handshake are those of frame format 1', () => {
    const files = ['protocol/crc32c.ts', 'protocol/frame.ts', 'rpc/handshake.ts', 'rpc/parts.ts'];
    expect(hashOf(files.map((file) => `src/${file}`))).toMatchInlineSnapshot(`"8e56a60c22dd42fb"`);
  });

  test('internal tables are those of format version 3', () => {
    const files = [
      'log/tables.ts',
      'log/layout.ts',
      'replica/bookkeeping.ts',
      'replica/system-tables.ts',
      'replica/identity.ts',
      'replica/schema-versions.ts',
      'replica/local-tables.ts',
      'replica/format.ts',
    ];
    expect({
      version: FORMAT_VERSION,
      hash: hashOf(files.map((file) => `src/core/${file}`)),
    }).toMatchInlineSnapshot(`
      {
        "hash": "fe8aedffcbb8f331",
        "version": 3,
      }
    `);
  });

  test('snapshots are those of version 1', () => {
    expect({
      version: SNAPSHOT_VERSION,
      hash: hashOf(['src/core/replication/snapshot-format.ts']),
    }).toMatchInlineSnapshot(`
      {
        "hash": "ab440bd50eeaed34",
        "version": 1,
      }
    `);
  });

  test('log entries are those of encoding version 1', () => {
    expect({
      version: ENCODING_VERSION,
      hash: hashOf(['src/core/log/encoding.ts', 'src/core/log/commit.ts']),
    }).toMatchInlineSnapshot(`
      {
        "hash": "7609dc2b0c8b3dd3",
        "version": 1,
      }
    `);
  });

  test('every message has its file among those pinned', () => {
    const others = [
      'base64.ts',
      'base64url.ts',
      'crc32c.ts',
      'error.ts',
      'frame.ts',
      'idempotency-key.ts',
      'json-text.ts',
      'json-value.ts',
      'utf8.ts',
    ];
    expect(readdirSync(join(ROOT, 'src/protocol')).sort()).toEqual([...others, ...MESSAGES].sort());
  });
});

/** Of the code alone: comments and layout may change. */
function hashOf(files: readonly string[]): string {
  const text = files.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '').replace(/\s+/g, ' ');
  return createHash('sha256').update(code).digest('hex').slice(0, 16);
}
