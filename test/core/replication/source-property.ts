import fc from 'fast-check';
import { expect } from 'vitest';
import { assert, present } from '../../../src/base/assert.ts';
import type { CommitId } from '../../../src/base/brand.ts';
import type { SqlValue } from '../../../src/base/sql-value.ts';
import { ByteReader } from '../../../src/core/log/bytes.ts';
import { dump } from '../../../src/core/log/dump.ts';
import {
  decodeChanges,
  encodeCommit,
  encodeValues,
  latin1,
  readValues,
} from '../../../src/core/log/encoding.ts';
import { readCommit } from '../../../src/core/log/read.ts';
import { answer, compare } from '../../../src/core/replication/merkle.ts';
import { MerkleScan } from '../../../src/core/replication/merkle-scan.ts';
import { decodeBatch, encodeBatch, readBatch } from '../../../src/core/replication/shipping.ts';
import type { SnapshotHead, SnapshotPage } from '../../../src/core/replication/snapshot-format.ts';
import { openSnapshot, readSnapshotPage } from '../../../src/core/replication/snapshot-source.ts';
import type { SqlitePort } from '../../../src/core/sqlite/port.ts';
import { arbitraryHistory, type History } from '../log/arbitrary-history.ts';
import { sent } from './copy.ts';
import { Leader } from './leader.ts';

/**
 * The leader's side of replication on any engine: pages, put together by maps instead of a database, are its rows as of
 * the snapshot's commit; batches are its entries; digests at a commit are the same early and late.
 */
export function checkSource(
  scratch: <T>(body: (port: SqlitePort) => T) => T,
  runs: number,
): { pages: number; entries: number } {
  const coverage = { pages: 0, entries: 0 };
  fc.assert(
    fc.property(arbitraryHistory, fc.constantFrom(1, 100, 1000), (history, bytesMax) =>
      scratch((port) => checkHistory(port, history, bytesMax, coverage)),
    ),
    { numRuns: runs, endOnFailure: true },
  );
  return coverage;
}

function checkHistory(
  port: SqlitePort,
  history: History,
  bytesMax: number,
  coverage: { pages: number; entries: number },
): void {
  const leader = new Leader(port);
  const { replica } = leader;
  if (!leader.change([...history.tables, ...history.triggers].map(({ sql }) => sql))) return;
  let step = 0;
  const run = () => {
    const statements = history.commits[step++];
    if (statements !== undefined) leader.commit(statements);
  };
  for (let i = 0; i < 4; i++) run();
  const tables = replica.schema.catalogue.tables;
  const before = dump(port, tables);
  const head = openSnapshot(replica);
  const base = head.base.commitId;
  const early = digestsAt(leader, base, () => undefined);
  const copy = new Map(head.tables.map(({ table }) => [table, new Map<string, readonly SqlValue[]>()]));
  for (let cursor: typeof head.start | null = head.start; cursor !== null; ) {
    const page = readSnapshotPage(replica, base, sent(cursor), bytesMax);
    assert(page !== 'gone', 'a page');
    take(copy, head, page);
    cursor = page.head.next;
    coverage.pages++;
    run();
  }
  for (const { table, rows } of before)
    expect(textsOf(present(copy.get(table), 'a table').values())).toEqual(textsOf(rows));
  expect(digestsAt(leader, base, run)).toEqual(early);
  coverage.entries += checkBatches(leader, base, bytesMax);
}

function textsOf(rows: Iterable<readonly SqlValue[]>): string[] {
  return [...rows].map((row) => latin1(encodeValues(row))).sort();
}

function take(
  copy: Map<string, Map<string, readonly SqlValue[]>>,
  { tables }: SnapshotHead,
  { head, data }: SnapshotPage,
): void {
  if (head.cursor.phase === 'rows') {
    const reader = new ByteReader(data);
    while (!reader.done) {
      const table = present(tables[reader.varint()], 'a table');
      for (let left = reader.varint(); left > 0; left--) {
        const row = readValues(reader);
        copy.get(table.table)?.set(keyOf(table.key, row), row);
      }
    }
    return;
  }
  for (const { layout, before, after } of decodeChanges(data)) {
    const table = present(
      tables.find((each) => each.layout === layout),
      'a table',
    );
    const rows = present(copy.get(table.table), 'a table');
    if (after !== null) rows.delete(keyOf(table.key, after));
    if (before !== null) rows.set(keyOf(table.key, before), before);
  }
}

function keyOf(key: readonly number[], row: readonly SqlValue[]): string {
  return latin1(encodeValues(key.map((index) => row[index] ?? null)));
}

function digestsAt({ replica }: Leader, at: CommitId, between: () => void): unknown {
  const scan = new MerkleScan(replica, at);
  for (;;) {
    const tree = scan.step(200);
    assert(tree !== 'gone', 'digests');
    if (tree !== null) return answer(tree, compare(tree).question);
    between();
  }
}

function checkBatches({ replica }: Leader, from: CommitId, bytesMax: number): number {
  let entries = 0;
  let after: Parameters<typeof readBatch>[1] = { commitId: from, term: replica.term };
  for (;;) {
    const batch = readBatch(replica, after, bytesMax);
    if (batch === 'up-to-date') return entries;
    assert(batch !== 'snapshot-needed', 'a batch');
    const { head, data } = encodeBatch(batch);
    const received = decodeBatch(sent(head), data);
    if (received.piece === null)
      received.entries.forEach((bytes, i) => {
        const id = (received.previous.commitId + 1 + i) as CommitId;
        expect(bytes).toEqual(encodeCommit(present(readCommit(replica.port, id), 'an entry')));
      });
    entries += received.entries.length;
    after = batch.end;
  }
}
