import type { Random } from '../../harness/random.ts';
import { type CycleStep, checkCycle } from '../checkers/cycle.ts';
import type { Operation, Program } from '../client.ts';
import { AGO_MS, SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

const KEYS = Array.from({ length: 7 }, (_, index) => `k${index}`);

/** Keys of all partitions form a ring, which transactions rewire: three keys in a row exchange places, and it stays one ring. */
export function cycle(): Workload<CycleStep> {
  /** As somebody has read it last: what a batch, which cannot look first, takes for granted. */
  let seen: ReadonlyMap<string, string> = new Map(KEYS.map((key, index) => [key, keyAt(index + 1)]));
  const noteSeen = (next: ReadonlyMap<string, string>): void => {
    if (next.size === KEYS.length) seen = next;
  };
  return {
    name: 'cycle',
    interactive: false,
    decisive: ['execute', 'transaction-ends'],
    setUp: [
      [{ sql: 'CREATE TABLE ring (k TEXT PRIMARY KEY, next TEXT NOT NULL)' }],
      KEYS.map((key, index) => ({ sql: 'INSERT INTO ring VALUES (?, ?)', args: [key, keyAt(index + 1)] })),
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: ['ALTER TABLE ring ADD COLUMN note TEXT', 'CREATE INDEX ring_next ON ring (next)'],
    next: (random) => {
      if (random.chance(0.5)) return readRing(random, noteSeen);
      const from = random.pick(KEYS);
      return random.chance(0.4) ? rewire(from) : rewireAsSeen(from, seen);
    },
    final: () => readRing(null, noteSeen),
    check: (history) => checkCycle(new Set(KEYS), history),
  };
}

function keyAt(index: number): string {
  return KEYS[index % KEYS.length] as string;
}

/** `a → b → c → d` becomes `a → c → b → d`. */
function rewire(a: string): Program<CycleStep> {
  const steps: readonly CycleStep[] = [{ kind: 'exchange' }];
  return {
    steps,
    run: async (ask) => {
      const after = async (key: string): Promise<string> =>
        String((await ask('SELECT next FROM ring WHERE k = ?', key))[0]?.[0]);
      const b = await after(a);
      const c = await after(b);
      const d = await after(c);
      const set = (key: string, next: string) => ask('UPDATE ring SET next = ? WHERE k = ?', next, key);
      await set(a, c);
      await set(c, b);
      await set(b, d);
      return { commit: true, steps };
    },
  };
}

/** The same in one batch, which fails where the ring is another one by now: a NULL is refused. */
function rewireAsSeen(a: string, seen: ReadonlyMap<string, string>): Operation<CycleStep> {
  const after = (key: string) => seen.get(key) ?? '';
  const [b, c, d] = [after(a), after(after(a)), after(after(after(a)))];
  const set = (key: string, before: string, next: string) => ({
    sql: 'UPDATE ring SET next = CASE WHEN next = ? THEN ? END WHERE k = ?',
    args: [before, next, key],
  });
  return {
    path: '/v1/batch',
    body: { statements: [set(a, b, c), set(b, c, d), set(c, d, b)] },
    steps: () => [{ kind: 'exchange' }],
  };
}

function readRing(
  random: Random | null,
  noteSeen: (next: ReadonlyMap<string, string>) => void,
): Operation<CycleStep> {
  const sql = 'SELECT k, next FROM ring';
  const alone = random?.chance(0.8) === true;
  const agoMs = random?.chance(0.25) === true ? random.pick(AGO_MS) : null;
  return {
    path: alone ? '/v1/query' : '/v1/batch',
    body: alone ? { sql } : { statements: [{ sql }] },
    ...(agoMs !== null && { agoMs }),
    steps: (results) => {
      const next = new Map((results?.[0] ?? []).map(([k, to]) => [String(k), String(to)]));
      noteSeen(next);
      return [{ kind: 'read-all', isStrong: agoMs === null, next }];
    },
  };
}
