import { mkdtemp } from 'node:fs/promises';
import WebSocket from 'ws';
import { startBenchCluster, TOKEN } from './http/cluster.ts';
import { runLoad } from './http/load.ts';

const side = process.argv[2] ?? '/v1/query';
const what = process.argv[3] ?? 'read';
const N = Number(process.argv[4] ?? 8000);
const storage = await mkdtemp('/tmp/work/prof-');
const cluster = await startBenchCluster(4, storage, 9339);
const columns = 'id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, age INTEGER';
await cluster.query(`CREATE TABLE users (${columns}) PARTITION BY (tenant)`);
await cluster.query('CREATE INDEX users_tenant ON users (tenant)');
const insert = (i: number) =>
  JSON.stringify({
    sql: 'INSERT INTO users (tenant, name, age) VALUES (?, ?, ?)',
    args: [`t${i}`, `name ${i}`, i % 90],
  });
const read = (i: number) =>
  JSON.stringify({ sql: 'SELECT id, name, age FROM users WHERE tenant = ?', args: [`t${i % 1000}`] });
const url = new URL(cluster.url + side);
await runLoad({ url, connections: 64, requests: 1000, body: insert, token: TOKEN });
const body = what === 'read' ? read : insert;
await runLoad({ url, connections: 64, requests: 4000, body, token: TOKEN });
const list = (await (await fetch('http://127.0.0.1:9339/json')).json()) as any[];
console.log(list.map((l) => l.id + ' ' + l.title).join('\n'));
const target = list.find((l) => (l.title + l.id).includes('bench')) ?? list[0];
const ws = new WebSocket(target.webSocketDebuggerUrl);
await new Promise((r) => ws.once('open', r));
let id = 0;
const waits = new Map<number, (v: any) => void>();
ws.on('message', (m) => {
  const j = JSON.parse(String(m));
  waits.get(j.id)?.(j.result ?? j);
});
const send = (method: string, params = {}) =>
  new Promise<any>((r) => {
    waits.set(++id, r);
    ws.send(JSON.stringify({ id, method, params }));
  });
await send('Profiler.enable');
await send('Profiler.setSamplingInterval', { interval: 200 });
await send('Profiler.start');
const r = await runLoad({ url, connections: 64, requests: N, body, token: TOKEN });
const { profile } = await send('Profiler.stop');
console.log(side, what, r);
const self = new Map<string, number>();
const total = new Map<string, number>();
const byId = new Map(profile.nodes.map((n: any) => [n.id, n])) as Map<number, any>;
const parent = new Map<number, number>();
for (const n of profile.nodes) for (const c of n.children ?? []) parent.set(c, n.id);
const name = (n: any) => `${n.callFrame.functionName || '(anon)'}:${n.callFrame.lineNumber}`;
let sum = 0;
profile.samples.forEach((s: number, i: number) => {
  const d = profile.timeDeltas[i];
  sum += d;
  const n = byId.get(s);
  self.set(name(n), (self.get(name(n)) ?? 0) + d);
  const seen = new Set<string>();
  for (let k: number | undefined = s; k !== undefined; k = parent.get(k)) {
    const nm = name(byId.get(k));
    if (!seen.has(nm)) {
      seen.add(nm);
      total.set(nm, (total.get(nm) ?? 0) + d);
    }
  }
});
const per = (v: number) => (v / N).toFixed(1);
console.log('sum us/request', per(sum));
console.log('SELF');
for (const [k, v] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 45)) console.log(per(v).padStart(7), k);
console.log('TOTAL');
for (const [k, v] of [...total].sort((a, b) => b[1] - a[1]).slice(0, 70)) console.log(per(v).padStart(7), k);
ws.close();
await cluster.stop();
process.exit(0);
