import { describe, expect, it } from 'vitest';
import type { SqlValue } from '../../../src/base/sql-value.ts';
import { MergeError } from '../../../src/core/plan/evaluate/error.ts';
import { diceOf, generateDatabase } from './arbitrary-database.ts';
import { type GeneratedSelect, generateSelect, SHAPE_NAMES } from './arbitrary-select.ts';
import { ModelCluster, query, type Row } from './model-cluster.ts';
import { modelSchema } from './model-schema.ts';

/** Cases per run; ATOLL_CASES for a longer one, ATOLL_SEED for another. */
const CASES = Number(process.env.ATOLL_CASES ?? 1200);
const SEED = Number(process.env.ATOLL_SEED ?? 1);
const STATEMENTS = 12;

function text(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'bigint'
      ? `${v}n`
      : v instanceof Uint8Array
        ? `x'${[...v]}'`
        : Object.is(v, -0)
          ? '-0.0'
          : typeof v === 'number' && !Number.isFinite(v)
            ? String(v)
            : v,
  );
}

/** Values that a comparison calls equal, as one. */
function looseText(value: SqlValue): string {
  if (typeof value === 'string') return `'${value.toLowerCase().replace(/ +$/, '')}'`;
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value).toPrecision(9);
  return text(value);
}

function close(a: SqlValue, b: SqlValue, scale: number): boolean {
  if (typeof a !== 'number' || typeof b !== 'number') return text(a) === text(b);
  return (
    a === b || (Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= 1e-12 * (scale + Math.abs(a)))
  );
}

function sameRow(a: Row, b: Row, loose: boolean, scale: number): boolean {
  return (
    a.length === b.length &&
    a.every((value, i) => {
      const other = b[i] ?? null;
      if (close(value, other, scale)) return true;
      if (!loose) return false;
      if (looseText(value) === looseText(other)) return true;
      const [x, y] = [Number(value), Number(other)];
      const numbers =
        typeof value !== 'string' && typeof other !== 'string' && Number.isFinite(x) && Number.isFinite(y);
      return numbers && value !== null && other !== null && Math.abs(x - y) <= 1e-12 * (scale + Math.abs(x));
    })
  );
}

/** Null if equal, else what differs. */
function difference(
  ours: readonly Row[],
  plain: readonly Row[],
  select: GeneratedSelect,
  scale: number,
): string | null {
  if (ours.length !== plain.length) return `${ours.length} rows, not ${plain.length}`;
  if (select.ordered) {
    const at = ours.findIndex((row, i) => !sameRow(row, plain[i] as Row, select.loose, scale));
    return at < 0 ? null : `row ${at}: ${text(ours[at])}, not ${text(plain[at])}`;
  }
  const left = [...plain];
  for (const row of ours) {
    const at = left.findIndex((other) => sameRow(row, other, select.loose, scale));
    if (at < 0) return `${text(row)} is not among ${text(left.slice(0, 8))}`;
    left.splice(at, 1);
  }
  return null;
}

type Outcome = { columns: readonly string[]; rows: readonly Row[] } | { error: string };

function attempt(run: () => { columns: readonly string[]; rows: readonly Row[] }): Outcome {
  try {
    return run();
  } catch (error) {
    if (error instanceof MergeError) return { error: error.kind };
    const { message } = error as Error;
    return { error: message === 'integer overflow' ? 'integer-overflow' : message };
  }
}

describe('a cluster answers as one SQLite', () => {
  const counts = new Map<string, number>();
  const count = (what: string): void => {
    counts.set(what, (counts.get(what) ?? 0) + 1);
  };

  it(`over ${CASES} databases from seed ${SEED}`, { timeout: 600_000 }, () => {
    const failures: string[] = [];
    for (let i = 0; i < CASES && failures.length < 8; i++) {
      const seed = SEED * 1_000_003 + i;
      const dice = diceOf(seed);
      const database = generateDatabase(dice);
      const cluster = new ModelCluster(modelSchema(database.script), database.data, 2 + dice.below(3));
      for (let s = 0; s < STATEMENTS; s++) {
        const select = generateSelect(dice, database.keys);
        const failure = check(cluster, select, database.scale, count);
        if (failure !== null)
          failures.push(
            `seed ${seed} ${database.script.split('\n').slice(1, 5).join('\n')}\n${select.sql} ${text(select.args)}\n${failure}`,
          );
      }
      cluster.close();
    }
    expect(failures.join('\n\n')).toBe('');
  });

  it('with every shape, and few refusals', () => {
    if (process.env.ATOLL_COUNTS !== undefined) console.log(Object.fromEntries([...counts].sort()));
    for (const shape of SHAPE_NAMES) {
      const answered = (counts.get(`${shape} route`) ?? 0) + (counts.get(`${shape} scatter`) ?? 0);
      expect(answered, shape).toBeGreaterThan(10);
    }
    expect(counts.get('overflow') ?? 0).toBeGreaterThan(0);
  });
});

function check(
  cluster: ModelCluster,
  select: GeneratedSelect,
  scale: number,
  count: (what: string) => void,
): string | null {
  const { sql, args } = select;
  const plain = attempt(() => query(cluster.plain, sql, args));
  const plan = cluster.plan(sql);
  if (plan.kind === 'refused') {
    count(`${select.shape} refused`);
    count(plan.message.slice(0, 70));
    return plan.code === 'unsupported' || 'error' in plain ? null : `refused ${plan.code}: ${plan.message}`;
  }
  const ours = attempt(() => cluster.run(plan, sql, args));
  if ('error' in plain && plain.error !== 'integer-overflow') {
    count(plain.error);
    return 'error' in ours ? null : `plain SQLite refuses: ${plain.error}`;
  }
  count(`${select.shape} ${plan.kind}`);
  if ('error' in plain || 'error' in ours) {
    // Partial sums may fit where a running sum does not, and a part may overflow where the whole fits: SQL.md.
    count('error' in ours ? `merge error ${ours.error}` : 'overflow');
    if ('error' in ours && ours.error === 'integer-overflow') count('overflow');
    return 'error' in ours && ours.error !== 'integer-overflow' && ours.error !== 'unsupported'
      ? `${ours.error} ${plan.kind === 'scatter' ? plan.sql : ''}`
      : null;
  }
  const names =
    text(ours.columns) === text(plain.columns)
      ? null
      : `columns ${text(ours.columns)}, not ${text(plain.columns)}`;
  const differs = names ?? difference(ours.rows, plain.rows, select, scale);
  if (differs !== null) return `${differs}\n${plan.kind === 'scatter' ? plan.sql : plan.kind} ${text(plan)}`;
  return plan.kind === 'route' ? checkPin(cluster, plan, select, plain.rows, scale) : null;
}

/** A pinned statement answers the same where rows of other keys are absent. */
function checkPin(
  cluster: ModelCluster,
  plan: ReturnType<ModelCluster['plan']> & { kind: 'route' },
  select: GeneratedSelect,
  plain: readonly Row[],
  scale: number,
): string | null {
  const only = cluster.onlyPinned(plan, select.args);
  const answer = attempt(() => query(only, select.sql, select.args));
  only.close();
  if ('error' in answer) return `without other keys: ${answer.error}`;
  const differs = difference(answer.rows, plain, select, scale);
  return differs === null ? null : `without other keys: ${differs}`;
}
