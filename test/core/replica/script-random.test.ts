import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { AtollError } from '../../../src/protocol/error.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';
import { Random } from '../../harness/random.ts';
import { ScriptClient, type Seen } from '../../harness/script-client.ts';

/**
 * Transactions that are interleaved with each other and with single statements, against plain SQLite: whatever commits is
 * run there at that moment, alone, and must have seen the same all along.
 */

const SCHEMA = [
  'CREATE TABLE a (k TEXT PRIMARY KEY, n INTEGER)',
  'CREATE TABLE b (k TEXT PRIMARY KEY, n INTEGER)',
  'CREATE TABLE child (k TEXT PRIMARY KEY REFERENCES a (k) ON DELETE CASCADE, n INTEGER)',
  'CREATE TABLE seen (k TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID',
  'CREATE VIEW both AS SELECT a.k, a.n + coalesce(b.n, 0) AS n FROM a LEFT JOIN b ON a.k = b.k',
  `CREATE TRIGGER notes AFTER UPDATE ON child BEGIN
     INSERT INTO seen VALUES (NEW.k, (SELECT n FROM b WHERE b.k = NEW.k)) ON CONFLICT DO UPDATE SET n = n + 1;
   END`,
];
const TABLES = ['a', 'b', 'child', 'seen'];
const KEYS = ['p', 'q', 'r', 's'];

interface Statement {
  readonly sql: string;
  readonly args: (string | number)[];
}

function statementOf(random: Random): Statement {
  const key = () => random.pick(KEYS);
  const number = () => random.below(4);
  const statements: (() => [string, ...(string | number)[]])[] = [
    () => ['SELECT k, n FROM a ORDER BY k'],
    () => ['SELECT sum(n), count(*) FROM b'],
    () => ['SELECT n FROM a WHERE k = ?', key()],
    () => ['SELECT n FROM both WHERE k = ?', key()],
    () => ['SELECT k, n FROM seen ORDER BY k'],
    () => ['SELECT n FROM child WHERE k = ?', key()],
    () => ['UPDATE a SET n = n + ? WHERE k = ?', number(), key()],
    () => ['UPDATE a SET n = -n'],
    () => ['UPDATE b SET n = (SELECT a.n FROM a WHERE a.k = b.k) WHERE k = ?', key()],
    () => ['UPDATE child SET n = ? WHERE k = ?', number(), key()],
    () => ['INSERT INTO a VALUES (?, ?)', key(), number()],
    () => ['INSERT OR REPLACE INTO b VALUES (?, ?)', key(), number()],
    () => ['INSERT INTO child VALUES (?, ?)', key(), number()],
    () => ['INSERT INTO b VALUES (?, 1) ON CONFLICT (k) DO UPDATE SET n = n + 1', key()],
    () => ['DELETE FROM a WHERE k = ?', key()],
    () => ['DELETE FROM b WHERE n > ?', number()],
    () => ['INSERT OR IGNORE INTO b SELECT k, n FROM a WHERE n < ?', number()],
  ];
  const [sql, ...args] = random.pick(statements)();
  return { sql, args };
}

type Step = Statement | { readonly savepoint: string } | { readonly rollbackTo: string };

/** What plain SQLite answers, as a client of Atoll sees it. */
function runPlain(plain: DatabaseSync, { sql, args }: Statement): Seen {
  try {
    const statement = plain.prepare(sql);
    if (/^SELECT/.test(sql)) {
      statement.setReturnArrays(true);
      const rows = statement.all(...args) as unknown as unknown[][];
      return { rows, columns: [], rowsAffected: 0, lastInsertRowid: null };
    }
    const { changes } = statement.run(...args);
    return { rows: [], columns: [], rowsAffected: Number(changes), lastInsertRowid: null };
  } catch {
    return { error: 'constraint' };
  }
}

/** Without ids and names, which plain SQLite gives otherwise. */
function comparable(seen: Seen): unknown {
  return 'error' in seen ? seen : { rows: seen.rows, rowsAffected: seen.rowsAffected };
}

class Run {
  readonly cluster = new LocalCluster(1);
  readonly plain = new DatabaseSync(':memory:');
  committed = 0;
  conflicts = 0;
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.cluster.schema(...SCHEMA);
    for (const sql of SCHEMA) this.plain.exec(sql);
    for (const key of ['p', 'q', 'r']) {
      const insert = { sql: 'INSERT INTO a VALUES (?, 1)', args: [key] };
      this.single(insert);
    }
  }

  single(statement: Statement): void {
    const outcome = this.cluster.outcome([statement]);
    const seen = outcome.kind === 'done' ? (JSON.parse(outcome.body) as Seen) : { error: 'constraint' };
    expect(comparable(seen)).toEqual(comparable(runPlain(this.plain, statement)));
  }

  /** Many steps; up to three transactions are open at a time. */
  go(steps: number): void {
    const open: { client: ScriptClient; steps: Step[]; seen: Seen[]; names: string[] }[] = [];
    for (let i = 0; i < steps; i++) {
      if (this.#random.chance(0.15)) this.single(statementOf(this.#random));
      if (open.length < 3) {
        open.push({ client: new ScriptClient(this.cluster), steps: [], seen: [], names: [] });
      }
      const at = this.#random.below(open.length);
      const transaction = open[at] as (typeof open)[number];
      const { client, names } = transaction;
      const dice = this.#random.below(100);
      try {
        if (dice < 12) {
          open.splice(at, 1);
          const error = client.commit();
          if (error !== null) throw error;
          this.#replayPlain(transaction.steps, transaction.seen);
        } else if (dice < 20) {
          const name = this.#random.pick(['one', 'two']);
          client.savepoint(name);
          names.push(name);
          transaction.steps.push({ savepoint: name });
        } else if (dice < 28 && names.length > 0) {
          const name = this.#random.pick(names);
          client.rollbackTo(name);
          names.length = names.lastIndexOf(name) + 1;
          transaction.steps.push({ rollbackTo: name });
        } else {
          const statement = statementOf(this.#random);
          transaction.seen.push(client.run(statement.sql, statement.args));
          transaction.steps.push(statement);
        }
      } catch (error) {
        if (!(error instanceof AtollError) || error.code !== 'conflict') throw error;
        this.conflicts++;
        const index = open.indexOf(transaction);
        if (index >= 0) open.splice(index, 1);
      }
    }
    this.#compareTables();
  }

  #replayPlain(steps: readonly Step[], seen: readonly Seen[]): void {
    this.committed++;
    this.plain.exec('BEGIN');
    const again: Seen[] = [];
    for (const step of steps) {
      if ('savepoint' in step) this.plain.exec(`SAVEPOINT ${step.savepoint}`);
      else if ('rollbackTo' in step) this.plain.exec(`ROLLBACK TO ${step.rollbackTo}`);
      else again.push(runPlain(this.plain, step));
    }
    this.plain.exec('COMMIT');
    expect(seen.map(comparable)).toEqual(again.map(comparable));
    this.#compareTables();
  }

  #compareTables(): void {
    for (const table of TABLES) {
      const sql = `SELECT * FROM ${table} ORDER BY k`;
      const { rows } = runPlain(this.plain, { sql, args: [] }) as { rows: unknown[][] };
      expect(this.cluster.run(sql).rows).toEqual(rows);
    }
  }
}

describe('interleaved transactions answer as if each had run alone when it committed', () => {
  let committed = 0;
  let conflicts = 0;
  const seeds = Number(process.env.ATOLL_SEEDS ?? 12);
  for (let seed = 1; seed <= seeds; seed++) {
    test(`seed ${seed}`, () => {
      const run = new Run(seed);
      run.go(250);
      committed += run.committed;
      conflicts += run.conflicts;
    });
  }

  test('many commit, and many conflict', () => {
    expect(committed).toBeGreaterThan(seeds * 4);
    expect(conflicts).toBeGreaterThan(seeds * 2);
  });
});
