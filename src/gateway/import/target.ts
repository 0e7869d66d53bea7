import { asciiLower } from '../../base/ascii.ts';
import type { PartitionId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { importPlan } from '../../core/plan/import.ts';
import type { Schema } from '../../core/schema/catalogue.ts';
import { looseIdColumn } from '../../core/schema/loose-ids.ts';
import { type KeyColumn, tokenOfKey } from '../../core/schema/partition-key.ts';
import { keyColumns } from '../../core/schema/placement.ts';
import type { Affinity, Table } from '../../core/schema/table.ts';
import { constantOf } from '../../core/sql/analysis/constant.ts';
import { parseStatement } from '../../core/sql/parse.ts';
import { AtollError } from '../../protocol/error.ts';
import type { KnownNetwork } from '../known-network.ts';
import { PlanRefusal } from '../planned.ts';
import { spreads } from '../spread.ts';

/** Which columns a row gives: rows of one shape that follow each other are inserted by one statement. */
export interface Shape {
  readonly slots: readonly number[];
  readonly columns: readonly string[];
  readonly generatesIds: boolean;
}

/** A place for a value: a stored column, or the rowid of a table that has no column for it. */
export interface Slot {
  readonly name: string;
  readonly affinity: Affinity;
  /** An integral REAL is kept apart from an INTEGER there, as a value or by its text. */
  readonly tellsReals: boolean;
  readonly defaultSql: string | null;
}

/** The name is no column of the table, as far as this router knows the schema. */
export class UnknownColumnError extends Error {
  override name = 'UnknownColumnError';
}

/**
 * Rows whose key is generated go where their line belongs, so many lines at a time (chosen: a chunk for each partition
 * is full before the next one's lines come). Part of what a rerun relies on: never change it.
 */
const LINES_PER_TOKEN = 256;

const INTEGER_KEY: readonly KeyColumn[] = [{ affinity: 'INTEGER', collation: 'BINARY' }];

/** Where an import goes, as one version of the network and the schema has it. */
export class ImportTarget {
  readonly known: KnownNetwork;
  readonly table: Table;
  readonly slots: readonly Slot[];
  /** Where a row's id may be given; −1: the table has no rowid. */
  readonly idSlot: number;
  readonly keySlots: readonly number[];
  /** Ids may be given: they decide the partition, all rows are in one place, or every partition is asked for them. */
  readonly takesIds: boolean;
  readonly #keyColumns: readonly KeyColumn[];
  readonly #slotByName = new Map<string, number>();
  readonly #keyDefaults: readonly (() => SqlValue)[];

  /** `restoring`: ids may be given wherever there are any, since they are compared when all rows are in. */
  constructor(known: KnownNetwork, table: Table, restoring = false) {
    this.known = known;
    this.table = table;
    this.slots = slotsOf(table);
    for (const [index, slot] of this.slots.entries()) this.#slotByName.set(asciiLower(slot.name), index);
    const idName = table.rowidColumn ?? table.rowidName;
    this.idSlot = idName === null ? -1 : this.#find(idName);
    if (this.idSlot >= 0) {
      for (const alias of ['rowid', '_rowid_', 'oid']) {
        if (!this.#slotByName.has(alias)) this.#slotByName.set(alias, this.idSlot);
      }
    }
    const key = table.placement.kind === 'partitioned' ? table.placement.key : [];
    this.keySlots = key.map((name) => this.#find(name));
    this.takesIds =
      restoring ||
      table.placement.kind === 'reference' ||
      this.keySlots.includes(this.idSlot) ||
      looseIdColumn(table) !== null;
    this.#keyColumns = keyColumns(table);
    this.#keyDefaults = this.keySlots.map((slot) => keyDefault(table, this.slots[slot] as Slot));
  }

  #find(name: string): number {
    return this.#slotByName.get(asciiLower(name)) ?? -1;
  }

  /** @throws UnknownColumnError */
  slotOf(name: string): number {
    let slot = this.#slotByName.get(name);
    if (slot === undefined) {
      slot = this.#find(name);
      if (slot < 0) throw new UnknownColumnError(name);
      this.#slotByName.set(name, slot);
    }
    return slot;
  }

  /** The partition of a row; undefined values are left to their defaults. */
  partitionOf(keyValues: readonly (SqlValue | undefined)[], line: number): PartitionId {
    if (this.table.placement.kind === 'reference') return SYSTEM_PARTITION;
    const { tokens } = this.known;
    const generatesKey = this.keySlots.length === 1 && this.keySlots[0] === this.idSlot;
    if (generatesKey && (keyValues[0] ?? null) === null) {
      return tokens.partitionOf(tokenOfKey([BigInt(Math.floor(line / LINES_PER_TOKEN))], INTEGER_KEY));
    }
    const values = keyValues.map((value, index) => {
      if (this.keySlots[index] === this.idSlot && (value ?? null) === null) return refuseKey(this.table);
      return value === undefined ? (this.#keyDefaults[index] as () => SqlValue)() : value;
    });
    return tokens.partitionOf(tokenOfKey(values, this.#keyColumns));
  }

  /** Whether rows made ready for `older` fit here too: same table, columns, key and owners of tokens. */
  accepts(older: ImportTarget): boolean {
    if (this.table.id !== older.table.id || this.table.name !== older.table.name) return false;
    const shape = (target: ImportTarget) =>
      JSON.stringify([target.keySlots.map((slot) => target.slots[slot]), target.table.placement]);
    if (shape(this) !== shape(older)) return false;
    if (JSON.stringify(this.known.tokens.ranges) !== JSON.stringify(older.known.tokens.ranges)) return false;
    return older.slots.every((slot) => {
      const now = this.slots[this.#find(slot.name)];
      return now !== undefined && now.affinity === slot.affinity;
    });
  }
}

function slotsOf(table: Table): Slot[] {
  const slots = table.columns
    .filter((column) => column.generated === 'no')
    .map(({ name, affinity, defaultSql }): Slot => {
      return { name, affinity, tellsReals: affinity === 'TEXT' || affinity === 'BLOB', defaultSql };
    });
  if (table.rowidColumn === null && table.rowidName !== null) {
    slots.push({ name: table.rowidName, affinity: 'INTEGER', tellsReals: false, defaultSql: null });
  }
  return slots;
}

function refuseKey(table: Table): never {
  throw new AtollError(
    'key-required',
    `the id is part of the partition key of ${table.name}: it must be given`,
  );
}

/** What a key column holds when a row leaves it out; computed only then. */
function keyDefault(table: Table, { name, defaultSql }: Slot): () => SqlValue {
  if (defaultSql === null) return () => null;
  return () => {
    const { statement } = parseStatement(`SELECT (${defaultSql})`);
    const column =
      statement.kind === 'select' && statement.body.kind === 'select-core'
        ? statement.body.columns[0]
        : undefined;
    const constant = column?.kind === 'result-expression' ? constantOf(column.expression) : null;
    if (constant?.kind === 'literal') return constant.value;
    throw new AtollError(
      'key-required',
      `the default of the partition key ${name} of ${table.name} is no plain constant: give its value`,
    );
  };
}

/**
 * Whether rows of the table, or what its triggers write, have entries in indexes over partitions.
 *
 * @throws PlanRefusal where triggers do what can then not be done
 */
export function spreadsRows({ schema }: KnownNetwork, name: string): boolean {
  const table = schema.table(name);
  if (table?.placement.kind === 'reference') refuseReplaced(schema, table);
  if (table === undefined || !schema.hasIndexes) return false;
  const concerned = [
    schema.uniquesOf(table),
    schema.referencesOf(table),
    schema.referencesTo(table),
    schema.triggersOn(name),
  ];
  if (concerned.every(({ length }) => length === 0)) return false;
  const plan = importPlan(schema, table);
  if (plan.kind === 'refused')
    throw new PlanRefusal(plan.code === 'key-change' ? 'unsupported' : plan.code, plan.message);
  return spreads(plan);
}

function refuseReplaced(schema: Schema, table: Table): void {
  const plan = importPlan(schema, table);
  if (plan.kind !== 'reference-write' || plan.referring === undefined) return;
  throw new PlanRefusal(
    'unsupported',
    `an import into "${table.name}" may take rows away, by its definition or a trigger, which rows of ${plan.referring.join(', ')} refer to: insert its rows by /v1/batch`,
  );
}

/** Whether rows of these shapes bring ids along that every partition must be asked for. */
export function claimsIds({ schema }: KnownNetwork, name: string, shapes: readonly Shape[]): boolean {
  const table = schema.table(name);
  return (
    table !== undefined && looseIdColumn(table) !== null && shapes.some(({ generatesIds }) => !generatesIds)
  );
}

/** @throws AtollError for what is no table that rows can be put into */
export function targetIn(known: KnownNetwork, name: string, restoring = false): ImportTarget {
  const table = known.schema.table(name);
  if (table !== undefined) return new ImportTarget(known, table, restoring);
  if (known.schema.view(name) !== undefined) {
    throw new AtollError('unsupported', `${name} is a view: import into its table`);
  }
  throw new AtollError('no-such-table', `no such table: ${name}`);
}
