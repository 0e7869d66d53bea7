const dir = process.argv[2]!;
const { Leader } = await import(`${dir}/test/core/replication/leader.ts`);
const { copy } = await import(`${dir}/test/core/replication/copy.ts`);
const { readBatch } = await import(`${dir}/src/core/replication/shipping.ts`);
const { NodeSqlitePort } = await import(`${dir}/src/node-agent/sqlite-port.ts`);
const leader = new Leader(new NodeSqlitePort(':memory:'));
leader.change(['CREATE TABLE users (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, age INTEGER)', 'CREATE INDEX u ON users(tenant)']);
const follower = copy(leader.replica, new NodeSqlitePort('/tmp/work/f' + process.pid + '.sqlite'));
const N = 30000, B = 30; let ship = 0, apply = 0;
const cpu = () => { const u = process.cpuUsage(); return u.user + u.system; };
for (let i = 0; i < N; i += B) {
  for (let k = 0; k < B; k++) leader.port.transaction(() => { leader.port.query('INSERT INTO users VALUES (?,?,?,?)', i + k, 't' + i, 'name ' + k, k); leader.replica.append('write', null, 1_700_000_100_000 + i + k); });
  const c = cpu(); const batch = readBatch(leader.replica, follower.position(), 1e6); const d = cpu();
  const r = follower.append(batch); const e = cpu();
  if (r.kind !== 'appended') throw new Error(r.kind);
  if (i > N / 3) { ship += d - c; apply += e - d; }
}
console.log('ship us/entry', (ship / (N * 2 / 3)).toFixed(1), 'apply', (apply / (N * 2 / 3)).toFixed(1));
