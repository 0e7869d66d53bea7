import { Miniflare } from 'miniflare';

const script = `
const run = { 
 url: (r,n)=>{ let s=0; for(let i=0;i<n;i++) s+=r.url.length; return s },
 inc: (r,n)=>{ let s=0; for(let i=0;i<n;i++) s+=r.url.includes('/v1/link/')?1:0; return s },
 method: (r,n)=>{ let s=0; for(let i=0;i<n;i++) s+=r.method.length; return s },
 headers: (r,n)=>{ let s=0; for(let i=0;i<n;i++) s+=r.headers?1:0; return s },
 get: (r,n)=>{ let s=0; const h=r.headers; for(let i=0;i<n;i++) s+=h.get('authorization')?1:0; return s },
 getnone: (r,n)=>{ let s=0; const h=r.headers; for(let i=0;i<n;i++) s+=h.get('traceparent')?1:0; return s },
 timer: (r,n)=>{ for(let i=0;i<n;i++) clearTimeout(setTimeout(()=>{}, 30000)); return 0 },
 newHeaders: (r,n)=>{ for(let i=0;i<n;i++) new Headers({'content-type':'application/json'}); return 0 },
 resp: (r,n)=>{ for(let i=0;i<n;i++) new Response('{}', {headers:{'content-type':'application/json'}}); return 0 },
 respjson: (r,n)=>{ for(let i=0;i<n;i++) Response.json({}); return 0 },
 rewrap: (r,n)=>{ for(let i=0;i<n;i++) { const a = new Response('{}', {headers:{'content-type':'application/json'}}); const b = new Response(a.body, a); b.headers.set('traceresponse','abc'); } return 0 },
 req: (r,n)=>{ for(let i=0;i<n;i++) new Request('http://partition/execute', {method:'POST', headers:{a:'1',b:'00-adasdasdadadasdadasdasdasdasd',c:'123123123123'}, body:'{"a":1}'}); return 0 },
 ctl: (r,n)=>{ for(let i=0;i<n;i++) new AbortController(); return 0 },
 signal: (r,n)=>{ let s=0; for(let i=0;i<n;i++) s+=r.signal?1:0; return s },
 sigt: (r,n)=>{ for(let i=0;i<n;i++) AbortSignal.timeout(30000); return 0 },
 now: (r,n)=>{ let s=0; for(let i=0;i<n;i++) s+=Date.now(); return s },
};
export default { async fetch(r) { const u = new URL(r.url); const f = run[u.searchParams.get('f')]; const n = Number(u.searchParams.get('n')); await r.text(); return new Response(String(f(r,n))); } }`;
const mf = new Miniflare({
  workers: [
    {
      config: {
        name: 'x',
        compatibilityDate: '2026-09-01',
        compatibilityFlags: [],
        manifest: {
          mainModule: 'index.js',
          modulesRoot: '/tmp',
          modules: { 'index.js': { type: 'esm', contents: script } },
        },
        env: {},
        exports: {},
      },
    },
  ],
} as any);
const url = (await mf.ready).origin;
for (const f of [
  'url',
  'inc',
  'method',
  'headers',
  'get',
  'getnone',
  'timer',
  'newHeaders',
  'resp',
  'respjson',
  'rewrap',
  'req',
  'ctl',
  'signal',
  'now',
]) {
  const t = async (n: number) => {
    const s = performance.now();
    const r = await fetch(`${url}/?f=${f}&n=${n}`, {
      method: 'POST',
      body: '{}',
      headers: { authorization: 'Bearer x' },
    });
    const x = await r.text();
    if (r.status !== 200) console.log(x.slice(0, 200));
    return performance.now() - s;
  };
  await t(1000);
  const a = await t(1000);
  const b = await t(21000);
  console.log(f.padEnd(12), ((b - a) / 20).toFixed(2), 'us');
}
await mf.dispose();
