import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { Random } from '../harness/random.ts';
import { QuietCluster } from '../simulation/quiet-cluster.ts';
import { expectSameRows, runPlain } from './beside-plain.ts';
import { schemaOf, shapeOf, stepOf } from './random-steps.ts';

const seeds = (process.env.FOREIGN_SEEDS ?? '1-5').split('-').map(Number);

test('random statements do what they do in SQLite', async () => {
  const seen = { ok: 0, constraint: 0, refused: 0 };
  for (let seed = seeds[0] ?? 1; seed <= (seeds[1] ?? 1); seed++) await compare(seed, seen);
  if (process.env.FOREIGN_SEEDS !== undefined) process.stderr.write(`${JSON.stringify(seen)}\n`);
  expect(seen.ok).toBeGreaterThan(seen.constraint / 4);
  expect(seen.constraint).toBeGreaterThan(30);
});

async function compare(seed: number, seen: Record<'ok' | 'constraint' | 'refused', number>): Promise<void> {
  const random = new Random(seed);
  const cluster = await QuietCluster.open(seed, 3);
  const plain = new DatabaseSync(':memory:');
  plain.exec('PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON');
  try {
    const schema = schemaOf(random);
    for (const sql of schema) {
      plain.exec(sql);
      const { status, json } = await cluster.ask(sql);
      expect([sql, status, json.error]).toEqual([sql, 200, undefined]);
    }
    const shape = shapeOf(schema);
    const history: string[] = [...schema];
    for (let i = 0; i < 60; i++) {
      const { sql, args } = stepOf(random, shape);
      const { status, json } = await cluster.ask(sql, args);
      const code = status === 200 ? 'ok' : json.error.code;
      const note = `seed ${seed}: ${sql} ${JSON.stringify(args)} → ${code} ${json.error?.message ?? ''}`;
      history.push(note);
      if (code !== 'ok' && code !== 'constraint') {
        expect(['key-change', 'unsupported', 'needs-global-index'], history.join('\n')).toContain(code);
        seen.refused++;
        continue;
      }
      const wanted = runPlain(plain, { sql, args });
      expect([code, wanted], history.join('\n')).toEqual([
        wanted === 'ok' ? 'ok' : 'constraint',
        wanted === 'ok' ? 'ok' : expect.stringContaining('constraint failed'),
      ]);
      seen[code as 'ok' | 'constraint']++;
      await expectSameRows(cluster, plain, history.join('\n'));
    }
    await cluster.checkIndexes();
  } finally {
    plain.close();
  }
}
