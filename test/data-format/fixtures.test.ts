import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CommitId } from '../../src/base/brand.ts';
import { BARRIERS } from '../../src/core/log/commit.ts';
import { dump } from '../../src/core/log/dump.ts';
import { readHeader } from '../../src/core/log/read.ts';
import { readHead } from '../../src/core/log/tables.ts';
import { undoTo } from '../../src/core/log/undo.ts';
import { Replica } from '../../src/core/replica/replica.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import { ask, startAgentOn, startOn, stopAgent } from './cluster.ts';
import { AGENT, answersOf, fixtureNames, partitionFiles, replicaFiles, unpack } from './fixture.ts';
import { QUESTIONS } from './story.ts';

const names = await fixtureNames();

test('there are fixtures', () => {
  expect(names.length).toBeGreaterThan(0);
});

describe.each(names)('data directory %s', (name) => {
  test('opens, answers and takes new rows', async () => {
    const storage = await unpack(name);
    const cluster = await startOn(storage);
    try {
      expect(await ask(cluster, QUESTIONS)).toEqual(await answersOf(name));
      const before = await cluster.client.query('SELECT max(id) FROM notes');
      const { lastInsertRowid } = await cluster.client.query('INSERT INTO notes (tenant) VALUES (?)', [
        'tenant 1',
      ]);
      const ids = await cluster.client.query('SELECT count(*) FROM notes WHERE tenant = ? AND id = ?', [
        'tenant 1',
        lastInsertRowid ?? null,
      ]);
      expect(ids.rows).toEqual([[1]]);
      expect(before.rows[0]?.[0]).not.toEqual(lastInsertRowid);
    } finally {
      await cluster.stop();
      await rm(storage, { recursive: true, force: true });
    }
  });

  test('an agent goes on with its copies, and answers from them', async () => {
    const storage = await unpack(name);
    const data = join(storage, AGENT);
    const before = await replicaFiles(storage);
    const cluster = await startOn(storage);
    const agent = await startAgentOn(cluster.url, data);
    try {
      expect(await ask(agent, QUESTIONS, { consistency: 'eventual' })).toEqual(await answersOf(name));
      for (const file of before) expect(await replicaFiles(storage)).toContain(file);
    } finally {
      await stopAgent(agent.running);
      await cluster.stop();
      await rm(storage, { recursive: true, force: true });
    }
  });

  test('undoes its newest commits', async () => {
    const storage = await unpack(name);
    let undone = 0;
    for (const file of [...(await partitionFiles(storage)), ...(await replicaFiles(storage))]) {
      const port = new NodeSqlitePort(file);
      const replica = Replica.open(port);
      expect(replica).not.toBeNull();
      if (replica === null) continue;
      const tables = replica.schema.catalogue.tables;
      const before = dump(port, tables);
      const { lastCommitId } = readHead(port);
      const base = lastBarrier(port, lastCommitId);
      undoTo(port, base);
      expect(readHead(port).lastCommitId).toBe(base);
      if (base < lastCommitId) {
        undone += lastCommitId - base;
        if (!replica.isSystem) expect(dump(port, tables)).not.toEqual(before);
      }
      port.close();
    }
    expect(undone).toBeGreaterThan(0);
    await rm(storage, { recursive: true, force: true });
  });
});

/** The newest commit that row images cannot undo. */
function lastBarrier(port: NodeSqlitePort, from: CommitId): CommitId {
  for (let id = from; id > 0; id--) {
    const header = readHeader(port, id as CommitId);
    if (header === null || BARRIERS.has(header.kind)) return id as CommitId;
  }
  return 0 as CommitId;
}
