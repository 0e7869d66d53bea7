import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { present } from '../../../src/base/assert.ts';
import type { PartitionId } from '../../../src/base/brand.ts';
import type { SqlValue } from '../../../src/base/sql-value.ts';
import { bindPin, bindRows, bindTargets } from '../../../src/core/plan/bind.ts';
import { mergeAnswers, type PartitionRows } from '../../../src/core/plan/merge/merge.ts';
import { bindParameters } from '../../../src/core/plan/parameters.ts';
import type { Plan } from '../../../src/core/plan/plan.ts';
import { planStatement } from '../../../src/core/plan/statement.ts';
import { tokenOfKey } from '../../../src/core/schema/partition-key.ts';
import type { Table } from '../../../src/core/schema/table.ts';
import { TokenMap } from '../../../src/core/schema/token-map.ts';
import { keyClassesOf } from '../../../src/core/sql/analysis/key-class.ts';
import { parseStatement } from '../../../src/core/sql/parse.ts';
import type { ModelSchema } from './model-schema.ts';

export type Row = readonly SqlValue[];
export interface TableData {
  readonly table: string;
  readonly rows: readonly Row[];
}

export const NOW = '2026-11-20 12:34:56.789';

/** N partitions and one plain SQLite with all the rows, as the oracle. */
export class ModelCluster {
  readonly model: ModelSchema;
  readonly plain: DatabaseSync;
  readonly map: TokenMap;
  readonly #data: readonly TableData[];
  readonly #partitions = new Map<PartitionId, DatabaseSync>();

  constructor(model: ModelSchema, data: readonly TableData[], count = 3) {
    this.model = model;
    this.#data = data;
    const ids = Array.from({ length: count }, (_, i) => (i + 1) as PartitionId);
    this.map = TokenMap.even(1, ids);
    this.plain = this.#database(() => true);
    for (const id of ids) {
      this.#partitions.set(
        id,
        this.#database((table, row) => this.map.partitionOf(tokenOf(table, row)) === id),
      );
    }
  }

  close(): void {
    this.plain.close();
    for (const database of this.#partitions.values()) database.close();
  }

  plan(sql: string): Plan {
    return planStatement(parseStatement(sql), sql, this.model.schema);
  }

  /** What the cluster answers by a route or scatter plan. */
  run(plan: Plan, sql: string, args: Row): PartitionRows {
    if (plan.kind === 'route') {
      const bound = bindPin(plan.pin, args, this.map);
      if (bound.kind === 'several') throw new Error('several partitions');
      const id = bound.kind === 'any' ? (2 as PartitionId) : bound.partition;
      return query(this.#of(id), sql, args);
    }
    if (plan.kind !== 'scatter') throw new Error(plan.kind);
    const parameters = bindParameters(plan, args, NOW);
    const answers = bindTargets(plan.targets, args, this.map).map((id) =>
      query(this.#of(id), plan.sql, parameters),
    );
    return mergeAnswers(plan.merge, answers, args);
  }

  /** A database that has, of the partitioned tables, only rows whose key has the pinned token. */
  onlyPinned(plan: Plan & { kind: 'route' }, args: Row): DatabaseSync {
    const { pin } = plan;
    if (pin.kind !== 'key') return this.#database(() => false);
    const tokens = new Set(
      pin.tuples.map((tuple) =>
        tokenOfKey(
          tuple.map((s) => (s.kind === 'literal' ? s.value : (args[s.index - 1] ?? null))),
          pin.columns,
        ),
      ),
    );
    return this.#database((table, row) => tokens.has(tokenOf(table, row)));
  }

  /** Rows of a table over all partitions. */
  all(table: string): Row[] {
    return [...this.#partitions.values()].flatMap((database) => [
      ...query(database, `SELECT * FROM "${table}"`, []).rows,
    ]);
  }

  /** Runs a write as the router would; what it refuses at bind time is null. */
  write(plan: Plan, sql: string, args: Row): 'done' | null {
    const [moved] = 'moves' in plan ? (plan.moves ?? []) : [];
    if (plan.kind === 'route') {
      const bound = bindPin(plan.pin, args, this.map);
      if (bound.kind === 'several') return null;
      if (moved !== undefined)
        return this.#insertMoving(
          moved,
          [bound.kind === 'any' ? (1 as PartitionId) : bound.partition],
          sql,
          args,
        );
      query(this.#of(bound.kind === 'any' ? (1 as PartitionId) : bound.partition), sql, args);
      return 'done';
    }
    if (plan.kind !== 'scatter-write' || !plan.perPartition.sound) return null;
    if (plan.rows !== null) {
      const used = [...sql.matchAll(/\?/g)].length;
      for (const part of bindRows(plan.rows, args, this.map)) {
        // SQLite counts parameters up to the largest number that is left.
        const left = Math.max(0, ...[...part.sql.matchAll(/\?(\d+)/g)].map((m) => Number(m[1])));
        query(this.#of(part.partition), part.sql, args.slice(0, Math.min(used, left)));
      }
      return 'done';
    }
    const targets = bindTargets(plan.targets, args, this.map);
    if (moved !== undefined) return this.#insertMoving(moved, targets, sql, args);
    for (const id of targets) query(this.#of(id), sql, args);
    return 'done';
  }

  /** An INSERT whose rows are made in some partitions, and belong to any. */
  #insertMoving(table: string, targets: readonly PartitionId[], sql: string, args: Row): 'done' {
    const made = targets.flatMap((id) => {
      const database = this.#of(id);
      database.exec('BEGIN');
      try {
        return query(database, `${sql} RETURNING *`, args).rows;
      } finally {
        database.exec('ROLLBACK');
      }
    });
    const own = present(this.model.schema.table(table), table);
    const marks = own.columns.map(() => '?').join();
    for (const row of made)
      query(this.#of(this.map.partitionOf(tokenOf(own, row))), `INSERT INTO ${table} VALUES (${marks})`, row);
    return 'done';
  }

  #of(id: PartitionId): DatabaseSync {
    const database = this.#partitions.get(id);
    if (database === undefined) throw new Error(`no partition ${id}`);
    return database;
  }

  #database(keep: (table: Table, row: Row) => boolean): DatabaseSync {
    const database = new DatabaseSync(':memory:');
    for (const sql of this.model.ddl) database.exec(sql);
    for (const { table: name, rows } of this.#data) {
      const table = this.model.schema.table(name);
      if (table === undefined) throw new Error(name);
      const marks = table.columns.map(() => '?').join(', ');
      const insert = database.prepare(`INSERT INTO "${name}" VALUES (${marks})`);
      for (const row of rows) {
        if (table.placement.kind === 'reference' || keep(table, row)) insert.run(...(row as SQLInputValue[]));
      }
    }
    return database;
  }
}

function tokenOf(table: Table, row: Row): ReturnType<typeof tokenOfKey> {
  if (table.placement.kind !== 'partitioned') throw new Error(table.name);
  const values = table.placement.key.map(
    (name) => row[table.columns.findIndex((c) => c.name === name)] ?? null,
  );
  return tokenOfKey(values, keyClassesOf(table));
}

/** The rows with their names; REAL as number, INTEGER as bigint. */
export function query(database: DatabaseSync, sql: string, args: Row): PartitionRows {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  const columns = statement.columns().map((column) => String(column.name));
  const rows = statement.all(...(args as SQLInputValue[])) as unknown as Row[];
  return { columns, rows };
}
