import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { runLoad } from './http/load.ts';

const [dirA, dirB, rounds = '10', what = 'read', n = '3000'] = process.argv.slice(2) as [
  string,
  string,
  string?,
  string?,
  string?,
];
async function start(dir: string) {
  const child = spawn(process.execPath, [`${import.meta.dirname}/zz-host.ts`, dir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const line: string = await new Promise((r) => child.stdout.once('data', (d) => r(String(d))));
  return { ...(JSON.parse(line) as { url: string; pid: number }), child };
}
const cpu = (pid: number) => {
  const s = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const f = s.slice(s.lastIndexOf(')') + 2).split(' ');
  return (Number(f[11]) + Number(f[12])) * 10000;
};
const A = await start(dirA),
  B = await start(dirB);
const insert = (i: number) =>
  JSON.stringify({
    sql: 'INSERT INTO users (tenant, name, age) VALUES (?, ?, ?)',
    args: [`t${i}`, `name ${i}`, i % 90],
  });
const read = (i: number) =>
  JSON.stringify({ sql: 'SELECT id, name, age FROM users WHERE tenant = ?', args: [`t${i % 1000}`] });
const N = Number(n);
const sides = [
  { name: 'bare', h: A, path: '/bare' },
  { name: 'A', h: A, path: '/v1/query' },
  { name: 'B', h: B, path: '/v1/query' },
  { name: 'bareB', h: B, path: '/bare' },
];
for (const s of sides)
  await runLoad({
    url: new URL(s.h.url + s.path),
    connections: 64,
    requests: 1000,
    body: insert,
    token: 'bench',
  });
const body = what === 'read' ? read : insert;
const res = new Map(sides.map((s) => [s.name, [] as number[]]));
const rate = new Map(sides.map((s) => [s.name, [] as number[]]));
let at = 10000;
for (let r = 0; r <= Number(rounds); r++) {
  const order = r % 2 ? sides : [...sides].reverse();
  for (const s of order) {
    const c = cpu(s.h.pid);
    const from = at;
    at += N;
    const out = await runLoad({
      url: new URL(s.h.url + s.path),
      connections: 64,
      requests: N,
      body: (i) => body(from + i),
      token: 'bench',
    });
    if (r > 1) {
      res.get(s.name)!.push((cpu(s.h.pid) - c) / N);
      rate.get(s.name)!.push(out.requestsPerSecond);
    }
  }
}
const med = (x: number[]) => [...x].sort((a, b) => a - b)[x.length >> 1]!;
for (const s of sides)
  console.log(
    s.name.padEnd(6),
    'cpu us',
    med(res.get(s.name)!).toFixed(0),
    'min',
    Math.min(...res.get(s.name)!).toFixed(0),
    'rate',
    med(rate.get(s.name)!).toFixed(0),
  );
const bare = (med(res.get('bare')!) + med(res.get('bareB')!)) / 2;
console.log(
  'bare/A',
  (bare / med(res.get('A')!)).toFixed(3),
  'bare/B',
  (bare / med(res.get('B')!)).toFixed(3),
  'A/B',
  (med(res.get('A')!) / med(res.get('B')!)).toFixed(3),
);
for (const h of [A, B]) h.child.stdin.end();
