import { mkdtemp, readdir, readFile } from 'node:fs/promises';

const dir = process.argv[2]!;
const { startBenchCluster } = await import(`${dir}/bench/http/cluster.ts`);
const storage = await mkdtemp('/tmp/work/ab-');
const cluster = await startBenchCluster(4, storage);
let pid = 0;
for (const p of await readdir('/proc')) {
  if (!/^\d+$/.test(p)) continue;
  try {
    const s = await readFile(`/proc/${p}/stat`, 'utf8');
    if (s.includes('(workerd)') && Number(s.slice(s.lastIndexOf(')') + 2).split(' ')[1]) === process.pid)
      pid = Number(p);
  } catch {}
}
const columns = 'id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, age INTEGER';
await cluster.query(`CREATE TABLE users (${columns}) PARTITION BY (tenant)`);
await cluster.query('CREATE INDEX users_tenant ON users (tenant)');
console.log(JSON.stringify({ url: cluster.url, pid }));
process.stdin.on('end', async () => {
  await cluster.stop();
  process.exit(0);
});
process.stdin.resume();
