import { expect, test } from 'vitest';
import type { CommitId } from '../../../src/base/brand.ts';
import { finishCommit } from '../../../src/core/log/append.ts';
import { applyCommit } from '../../../src/core/log/apply.ts';
import { createLog } from '../../../src/core/log/capture.ts';
import { dump, dumpFingerprint } from '../../../src/core/log/dump.ts';
import { imageBytes } from '../../../src/core/log/encoding.ts';
import { readCommit, readCommitPages, readEntry } from '../../../src/core/log/read.ts';
import { createLogTables } from '../../../src/core/log/tables.ts';
import { undoTo } from '../../../src/core/log/undo.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { describeTable } from './describe-table.ts';
import { inputAt } from './replay-property.ts';

/** A port that notes the most bytes that one answer of the log brought into memory. */
class MeasuredPort extends NodeSqlitePort {
  bytesMax = 0;

  override query(...args: Parameters<NodeSqlitePort['query']>): ReturnType<NodeSqlitePort['query']> {
    return this.#measured(super.query(...args));
  }

  override queryBounded(
    ...args: Parameters<NodeSqlitePort['queryBounded']>
  ): ReturnType<NodeSqlitePort['queryBounded']> {
    return this.#measured(super.queryBounded(...args));
  }

  #measured<T extends ReturnType<NodeSqlitePort['query']>>(result: T): T {
    let bytes = 0;
    for (const row of result.rows)
      for (const value of row)
        bytes += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8;
    this.bytesMax = Math.max(this.bytesMax, bytes);
    return result;
  }
}

const ROWS = 8_000;
const TABLE = 'CREATE TABLE t(id INTEGER PRIMARY KEY, n, b)';

function createPort(): MeasuredPort {
  const port = new MeasuredPort(':memory:');
  createLogTables(port);
  port.query(TABLE);
  createLog(port, describeTable(port, 't', 1));
  return port;
}

test('a commit of any size is read, undone and applied page by page', () => {
  const port = createPort();
  const table = describeTable(port, 't', 1);
  const commit = (sql: string, time: number) =>
    port.transaction(() => {
      port.query(sql);
      finishCommit(port, inputAt(time));
    });
  commit(
    `INSERT INTO t WITH RECURSIVE s(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < ${ROWS}) SELECT x, x, zeroblob(1000) FROM s`,
    1,
  );
  const inserted = dumpFingerprint(dump(port, [table]));
  commit('UPDATE t SET n = n + 1, b = zeroblob(1001)', 2);
  const updated = dumpFingerprint(dump(port, [table]));
  const entry = readEntry(port, 2 as CommitId);
  if (entry === null) throw new Error('no entry');

  port.bytesMax = 0;
  const replica = createPort();
  for (const id of [1, 2]) {
    const from = readEntry(port, id as CommitId);
    if (from === null) throw new Error('no entry');
    let pages = 0;
    const changes = function* () {
      for (const page of readCommitPages(port, from, 1_000_000)) {
        pages++;
        expect(
          page.reduce((sum, { before, after }) => sum + imageBytes(before) + imageBytes(after), 0),
        ).toBeLessThan(1_100_000);
        yield* page;
      }
    };
    applyCommit(replica, { header: from.header, changes: changes() });
    expect(pages).toBeGreaterThan(7);
  }
  expect(dumpFingerprint(dump(replica, [table]))).toBe(updated);
  replica.bytesMax = 0;
  undoTo(port, 1 as CommitId);
  undoTo(replica, 0 as CommitId);
  expect(port.bytesMax).toBeLessThan(10_000_000);
  expect(replica.bytesMax).toBeLessThan(10_000_000);
  expect(dumpFingerprint(dump(port, [table]))).toBe(inserted);
  expect(replica.query('SELECT count(*) FROM t').rows).toEqual([[0]]);
});

test('a row larger than a page is a page, and the two images of an update stay together', () => {
  const port = createPort();
  const sizes = [10, 90_000, 20, 150_000, 150_000, 5];
  sizes.forEach((size, i) => {
    port.query(`INSERT INTO t VALUES (${i}, ${i}, zeroblob(${size}))`);
  });
  finishCommit(port, inputAt(1));
  port.query('UPDATE t SET n = n * 2.5');
  finishCommit(port, inputAt(2));
  for (const id of [1, 2] as CommitId[]) {
    const entry = readEntry(port, id);
    if (entry === null) throw new Error('no entry');
    for (const bytesMax of [1, 1000, 100_000, 200_000, 1e9])
      expect([...readCommitPages(port, entry, bytesMax)].flat()).toEqual(readCommit(port, id)?.changes);
  }
  undoTo(port, 0 as CommitId);
  expect(port.query('SELECT count(*) FROM t').rows).toEqual([[0]]);
});
