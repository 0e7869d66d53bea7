import { describe, expect, test } from 'vitest';
import type { CommitId, Timestamp } from '../../../src/base/brand.ts';
import { DEFAULT_SKEW_LIMIT_MS } from '../../../src/core/clock/hybrid-clock.ts';
import { momentOf } from '../../../src/core/clock/moment.ts';
import { purgeStep } from '../../../src/core/log/purge.ts';
import { readHead } from '../../../src/core/log/tables.ts';
import { UNDONE_IMAGES_MAX } from '../../../src/core/replica/as-of.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { ask, rowsAt } from './asking-past.ts';

describe('a moment is refused', () => {
  test.each([DEFAULT_SKEW_LIMIT_MS + 1, 1e9])('that is to come: in %d ms', (ahead) => {
    const cluster = new LocalCluster(1);
    const { commit } = cluster.replica(1).last;
    expect(() => rowsAt(cluster, 'SELECT 1', momentOf(cluster.now + ahead) as Timestamp)).toThrow(
      expect.objectContaining({ code: 'bad-request', message: expect.stringContaining(`${ahead} ms ahead`) }),
    );
    expect(cluster.replica(1).last.commit).toBe(commit);
    expect(cluster.replica(1).clock.aheadMs(cluster.now)).toBeLessThanOrEqual(0);
  });

  test('that is none', () => {
    const cluster = new LocalCluster(1);
    expect(ask(cluster, 'SELECT 1', { asOf: 'zzz' as Timestamp })).toMatchObject({
      kind: 'error',
      error: { code: 'bad-request' },
    });
  });

  test('before the log, which is named, also when it was forgotten since', () => {
    const cluster = new LocalCluster(1);
    cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
    const { port } = cluster.replica(1);
    const first = String(port.query('SELECT min(timestamp) FROM _atoll_commits').rows[0]?.[0]);
    const gone = (oldest: string) =>
      expect.objectContaining({ code: 'history-gone', detail: { partition: 1, oldest } });
    expect(() => rowsAt(cluster, 'SELECT 1', momentOf(0) as Timestamp)).toThrow(gone(first));
    for (let i = 0; i < 5; i++) cluster.run('INSERT INTO t VALUES (?, 1)', [`k${i}`]);
    const moments = port.query('SELECT commit_id, timestamp FROM _atoll_commits ORDER BY commit_id').rows;
    const [id, time] = moments.at(-3) as [number, Timestamp];
    const floor = (id + 1) as CommitId;
    purgeStep(port, { olderThan: '~' as Timestamp, bytesMax: 2 ** 28, floor });
    expect(readHead(port).baseTimestamp).toBe(time);
    expect(rowsAt(cluster, 'SELECT count(*) FROM t', time)).toEqual([[3]]);
    const [, before] = moments.at(-4) as [number, Timestamp];
    expect(() => rowsAt(cluster, 'SELECT count(*) FROM t', before)).toThrow(gone(time));
  });

  test('when all images were forgotten, entries without any stand before those that come', () => {
    const cluster = new LocalCluster(1);
    cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
    const replica = cluster.replica(1);
    for (let i = 0; i < 5; i++) cluster.run('INSERT INTO t VALUES (?, 1)', [`k${i}`]);
    const lastWrite = replica.last;
    rowsAt(cluster, 'SELECT 1', momentOf(cluster.now) as Timestamp);
    const floor = (lastWrite.commit + 1) as CommitId;
    while (purgeStep(replica.port, { olderThan: '~' as Timestamp, bytesMax: 2 ** 28, floor }));
    expect(replica.port.query('SELECT count(*) FROM _atoll_log').rows).toEqual([[0]]);
    cluster.run("INSERT INTO t VALUES ('new', 1)");
    expect(rowsAt(cluster, 'SELECT count(*) FROM t', lastWrite.time)).toEqual([[5]]);
  });

  test('before a change of the schema, whose moment is named and can be read', () => {
    const cluster = new LocalCluster(1);
    cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
    cluster.run("INSERT INTO t VALUES ('a', 1)");
    const before = cluster.replica(1).last.time;
    cluster.schema('ALTER TABLE t ADD COLUMN w DEFAULT 5');
    const changed = cluster.replica(1).last.time;
    cluster.run("UPDATE t SET w = 6 WHERE k = 'a'");
    expect(() => rowsAt(cluster, 'SELECT * FROM t', before)).toThrow(
      expect.objectContaining({
        code: 'history-gone',
        message: expect.stringContaining('the schema was changed'),
        detail: { partition: 1, oldest: changed },
      }),
    );
    expect(rowsAt(cluster, 'SELECT * FROM t', changed)).toEqual([['a', 1, 5]]);
  });

  test('if too much has changed since, but for what is read', () => {
    const cluster = new LocalCluster(1);
    cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)', 'CREATE TABLE small (k TEXT PRIMARY KEY)');
    const { time } = cluster.replica(1).last;
    cluster.run("INSERT INTO small VALUES ('a')");
    cluster.run(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${UNDONE_IMAGES_MAX}) INSERT INTO t SELECT i, i FROM n`,
    );
    expect(rowsAt(cluster, 'SELECT count(*) FROM t', time)).toEqual([[0]]);
    cluster.run("INSERT INTO t VALUES ('more', 1)");
    expect(() => rowsAt(cluster, 'SELECT count(*) FROM t', time)).toThrow(
      expect.objectContaining({
        code: 'result-too-large',
        message: expect.stringContaining(`${UNDONE_IMAGES_MAX}`),
      }),
    );
    expect(rowsAt(cluster, 'SELECT count(*) FROM small', time)).toEqual([[0]]);
  });
});
