import { expect, test } from 'vitest';
import { Follower } from '../../../src/core/replication/follower.ts';
import { type Shipment, Shipper } from '../../../src/core/replication/shipper.ts';
import { decodeBatch } from '../../../src/core/replication/shipping.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { REBUILDS_SINCE, RPC_VERSION } from '../../../src/protocol/rpc.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { copy, sent } from './copy.ts';
import { stateOf } from './leader.ts';

const NOW = 1_700_000_000_000;
const memory = () => new NodeSqlitePort(':memory:', { synchronous: 'OFF' });

function copied(replica: Parameters<typeof copy>[0]): Follower {
  const follower = copy(replica, memory());
  if (!(follower instanceof Follower)) throw new Error('gone');
  return follower;
}

function take(follower: Follower, shipments: readonly Shipment<string>[]) {
  const answers = shipments.map((shipment) => {
    if (shipment.type !== 'append') throw new Error(shipment.type);
    return follower.append(decodeBatch(sent(shipment.head), shipment.data));
  });
  return answers.at(-1) ?? null;
}

/** A partition with rows, and the statements that rebuild its tables. */
function partition() {
  const cluster = new LocalCluster(1);
  cluster.schema('CREATE TABLE t (k TEXT PRIMARY KEY, v)');
  cluster.schema('CREATE TABLE c (k TEXT REFERENCES t ON DELETE CASCADE, n)');
  cluster.run("INSERT INTO t VALUES ('a', 1)");
  cluster.run("INSERT INTO t VALUES ('b', NULL)");
  for (const k of ['b', 'a', 'b']) cluster.run(`INSERT INTO c VALUES ('${k}', 1)`);
  cluster.run("DELETE FROM c WHERE k = 'a'");
  const rebuild = () =>
    cluster.schema(
      'PRAGMA foreign_keys = OFF',
      'CREATE TABLE n (k TEXT PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP, v INT)',
      'INSERT INTO n (k, v) SELECT k, v FROM t',
      'DROP TABLE t',
      'ALTER TABLE n RENAME TO t',
      'CREATE TABLE n (n, k TEXT REFERENCES t ON DELETE CASCADE)',
      'INSERT INTO n (k, n) SELECT k, n FROM c',
      'DROP TABLE c',
      'ALTER TABLE n RENAME TO c',
    );
  return { cluster, replica: cluster.replica(1), rebuild };
}

test('a follower rebuilds tables as its leader does, to the last rowid, and goes on', () => {
  const { cluster, replica, rebuild } = partition();
  const follower = copied(replica);
  const from = replica.last.commit;
  const shipper = new Shipper<string>(() => replica);
  rebuild();
  cluster.run("DELETE FROM t WHERE k = 'a'");
  cluster.run("INSERT INTO c (k, n) VALUES ('b', 2)");
  shipper.follow('link', 'h', follower.position(), NOW);
  take(follower, shipper.messages(NOW));
  expect(follower.position().commitId).toBe(replica.last.commit);
  expect(stateOf(follower.replica, from + 1)).toEqual(stateOf(replica, from + 1));
  const rows = 'SELECT rowid, k, n FROM c ORDER BY rowid';
  const [own, leaders] = [follower.replica.port.query(rows), replica.port.query(rows)];
  expect([own.columns, own.rows]).toEqual([leaders.columns, leaders.rows]);
  expect(follower.replica.port.query('SELECT count(*) FROM c').rows).toEqual([[3]]);
});

test('one of an earlier version, which would lose rows by it, takes a snapshot behind it', () => {
  const { cluster, replica, rebuild } = partition();
  const follower = copied(replica);
  const versionOf = (link: string) => (link === 'older' ? REBUILDS_SINCE - 1 : RPC_VERSION);
  const shipper = new Shipper<string>(() => replica, { versionOf });
  cluster.run("INSERT INTO t VALUES ('d', 1)");
  rebuild();
  for (const link of ['older', 'newer']) {
    expect(shipper.follow(link, link, follower.position(), NOW).next).toBe('entries');
  }
  const messages = Map.groupBy(shipper.messages(NOW), ({ link }) => link);
  // What came before is no trouble.
  const answer = take(follower, messages.get('older') ?? []);
  expect(follower.replica.port.query("SELECT count(*) FROM t WHERE k = 'd'").rows).toEqual([[1]]);
  expect(follower.replica.schema.version).toBe(replica.schema.version - 1);
  if (answer === null) throw new Error('no answer');
  shipper.answered('older', 'older', answer, NOW);
  expect(shipper.messages(NOW).filter(({ link }) => link === 'older')).toEqual([
    { link: 'older', type: 'follow-again', head: { partition: 1 } },
  ]);
  expect(shipper.follow('older', 'older', follower.position(), NOW).next).toBe('snapshot');
  expect(shipper.follow('older', 'older', copied(replica).position(), NOW).next).toBe('entries');
  take(follower, messages.get('newer') ?? []);
  expect(follower.replica.schema.version).toBe(replica.schema.version);
});
