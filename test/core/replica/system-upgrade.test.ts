import { rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { dump } from '../../../src/core/log/dump.ts';
import { Replica } from '../../../src/core/replica/replica.ts';
import { System } from '../../../src/core/replica/system.ts';
import { HOST_TABLES, SYSTEM_TABLES } from '../../../src/core/replica/system-tables.ts';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { partitionFiles, unpack } from '../../data-format/fixture.ts';
import { HostCluster, hostId } from './hosts-cluster.ts';

test('a system partition from before hosts could join takes them; other partitions get no such tables', async () => {
  const storage = await unpack('issue-2');
  let systems = 0;
  for (const file of await partitionFiles(storage)) {
    const port = new NodeSqlitePort(file);
    const replica = Replica.open(port);
    if (replica === null) continue;
    const tables = HOST_TABLES.map(({ name }) => name);
    const { rows } = port.query(
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name IN (SELECT value FROM json_each(?))`,
      JSON.stringify(tables),
    );
    expect(rows).toHaveLength(replica.isSystem ? tables.length : 0);
    if (replica.isSystem) {
      systems++;
      const cluster = HostCluster.on(port, System.open(replica));
      const a = hostId('a');
      const before = cluster.commits;
      cluster.join(a);
      cluster.beatInSync(a);
      expect(cluster.status(a)).toBe('read');
      // All ids were given to partitions when it was made.
      expect(cluster.rows('SELECT id_start, id_end FROM atoll_host_profiles')).toEqual([[null, null]]);
      const after = dump(port, SYSTEM_TABLES);
      const count = cluster.commits - before;
      expect(undoAndRedo(cluster.system.replica, count)).toBe(count);
      expect(dump(port, SYSTEM_TABLES)).toEqual(after);
    }
    port.close();
  }
  expect(systems).toBe(1);
  await rm(storage, { recursive: true, force: true });
});
