import { asciiLower } from '../../../base/ascii.ts';
import type { Schema } from '../../schema/catalogue.ts';
import { parentColumnsOf } from '../../schema/placement.ts';
import type { ReferenceIndex } from '../../schema/reference-index.ts';
import type { ForeignKey, Table, Trigger } from '../../schema/table.ts';
import type { CreateTrigger, Delete, Insert, Update } from '../ast.ts';
import { Analyzer, newFindings } from './analyzer.ts';
import { sameClass } from './graph.ts';
import { keyClassesOf } from './key-class.ts';
import { nodeOf } from './model.ts';
import { refuse } from './refusal.ts';
import { ROWID_NAMES } from './resolve.ts';
import { triggerStatement } from './view.ts';
import { analyseChange, analyseInsert, scopeOf } from './write.ts';

export type WriteEvent = 'INSERT' | 'UPDATE' | 'DELETE';

/** What a write does beside its statement, in the row's partition and by foreign keys over partitions in others. */
export interface Reach {
  /** Other tables that triggers and foreign-key actions may write where the row is. */
  readonly reached: readonly string[];
  /** Tables that foreign keys over partitions may write, and what follows from that. */
  readonly acted: readonly string[];
  /** Those of them that foreign keys change, not only triggers. */
  readonly cascaded: readonly string[];
  /** Those foreign keys, and what they do. */
  readonly actions: readonly Action[];
  /** Foreign keys of partitioned tables to rows of reference tables that may go, or get another key: their rows are in all partitions. */
  readonly referring: readonly Referring[];
}

export interface Referring {
  readonly child: Table;
  readonly foreignKey: ForeignKey;
  /** What it then does to the child's rows; null: nothing, it forbids. */
  readonly does: 'DELETE' | 'UPDATE' | null;
}

interface Action {
  readonly index: ReferenceIndex;
  readonly event: 'DELETE' | 'UPDATE';
}

const CACHE = new WeakMap<Schema, Map<string, Reach>>();

/**
 * The other tables that triggers and foreign-key actions may write, transitively, when `table` is written.
 *
 * Refuses what a partition alone cannot do rightly: a trigger that reads or changes rows of other keys (it
 * would see and touch only those that happen to live in the same partition), or writes a reference table. Rows
 * that a trigger inserts are checked where they are written. `changed`: the columns that an UPDATE sets, lower
 * case; null: any. `key`: whether updated rows keep their partition key, or move, so that where they were only
 * rows with the old one are.
 */
export function reachOf(
  schema: Schema,
  table: Table,
  events: readonly WriteEvent[],
  changed: readonly string[] | null,
  key: 'keep' | 'move' = 'keep',
): readonly string[] {
  return wholeReachOf(schema, table, events, changed, key).reached;
}

/** As {@link reachOf}, with what happens in other partitions; of rows that move, without. */
export function wholeReachOf(
  schema: Schema,
  table: Table,
  events: readonly WriteEvent[],
  changed: readonly string[] | null,
  key: 'keep' | 'move' = 'keep',
): Reach {
  let cache = CACHE.get(schema);
  if (cache === undefined) {
    cache = new Map();
    CACHE.set(schema, cache);
  }
  const cacheKey = `${key} ${events.join()} ${changed?.join() ?? '*'} ${table.name}`;
  const known = cache.get(cacheKey);
  if (known !== undefined) return known;
  const walker = new ReachWalker(schema, key === 'move');
  for (const event of events) walker.write(table, event, changed, walker.reached);
  const reach: Reach = {
    reached: [...walker.reached].filter((name) => name !== table.name).sort(),
    acted: [...walker.acted].sort(),
    cascaded: [...walker.cascaded],
    actions: [...walker.actions.values()],
    referring: [...walker.referring.values()],
  };
  cache.set(cacheKey, reach);
  return reach;
}

class ReachWalker {
  readonly reached = new Set<string>();
  readonly acted = new Set<string>();
  readonly cascaded = new Set<string>();
  readonly actions = new Map<string, Action>();
  readonly referring = new Map<string, Referring>();
  readonly #schema: Schema;
  readonly #moves: boolean;
  readonly #seen = new Set<string>();

  constructor(schema: Schema, moves: boolean) {
    this.#schema = schema;
    this.#moves = moves;
  }

  /** `found`: of this partition or of others. */
  write(table: Table, event: WriteEvent, changed: readonly string[] | null, found: Set<string>): void {
    const key = `${found === this.acted} ${event} ${changed?.join() ?? '*'} ${table.name}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    for (const trigger of this.#schema.triggersOn(table.name)) this.#trigger(table, event, trigger, found);
    if (event === 'INSERT') return;
    if (!this.#moves) this.#actElsewhere(table, event, changed);
    for (const child of this.#schema.catalogue.tables) {
      for (const foreignKey of child.foreignKeys) {
        if (asciiLower(foreignKey.parent) !== asciiLower(table.name)) continue;
        if (event === 'DELETE' || mayChangeParent(table, foreignKey, changed)) {
          this.#foreignKey(table, event, child, foreignKey, found);
        }
      }
    }
  }

  #actElsewhere(table: Table, event: 'UPDATE' | 'DELETE', changed: readonly string[] | null): void {
    for (const index of this.#schema.referencesTo(table)) {
      if (event === 'UPDATE' && !changesAny(index.parentColumns, changed)) continue;
      const action = (event === 'DELETE' ? index.onDelete : index.onUpdate).toUpperCase();
      const child = this.#schema.stored.get(index.of);
      if (child === undefined || action === 'NO ACTION' || action === 'RESTRICT') continue;
      const does = event === 'DELETE' && action === 'CASCADE' ? 'DELETE' : 'UPDATE';
      this.acted.add(child.name);
      this.cascaded.add(child.name);
      this.actions.set(`${does} ${index.table.id}`, { index, event: does });
      this.write(child, does, index.columns.map(asciiLower).sort(), this.acted);
    }
  }

  #trigger(table: Table, event: WriteEvent, trigger: Trigger, found: Set<string>): void {
    const ast = triggerStatement(trigger);
    if (ast.event !== event) return;
    const analyzer = new Analyzer(this.#schema, trigger.sql);
    const rowNew = analyzer.pseudo(table, 'new');
    const rowOld = analyzer.pseudo(table, 'old');
    const key = table.placement.kind === 'partitioned' ? table.placement.key : [];
    for (const column of this.#moves ? [] : key) {
      analyzer.graph.edge(nodeOf(rowNew, column), nodeOf(rowOld, column));
      analyzer.graph.edge(nodeOf(rowOld, column), nodeOf(rowNew, column));
    }
    const scope = scopeOf([rowNew, rowOld], null);
    if (ast.when !== null) analyzer.expression(ast.when, scope, null, newFindings());
    this.#body(table, trigger, ast, analyzer, scope, found);
    const reached = key.map((column) => analyzer.graph.reachedFrom(nodeOf(rowOld, column)));
    for (const use of analyzer.uses) {
      const covered =
        key.length > 0 &&
        use.key.length === key.length &&
        use.key.every((node, i) => reached[i]?.has(node) === true);
      if (covered) continue;
      refuse(
        'unsupported',
        `the trigger "${trigger.name}" uses rows of "${use.table.name}" that may belong to other partition keys: ` +
          (key.length > 0
            ? `compare its key with ${this.#moves ? '' : `NEW.${key[0]} or `}OLD.${key[0]}`
            : 'it is on a reference table'),
      );
    }
  }

  #body(
    table: Table,
    trigger: Trigger,
    ast: CreateTrigger,
    analyzer: Analyzer,
    scope: ReturnType<typeof scopeOf>,
    found: Set<string>,
  ): void {
    for (const statement of ast.body) {
      if (statement.kind === 'select') {
        analyzer.select(statement, scope, null);
        continue;
      }
      const model =
        statement.kind === 'insert'
          ? analyseInsert(analyzer, statement, scope)
          : analyseChange(analyzer, statement, scope);
      if (model.table.placement.kind !== table.placement.kind) {
        refuse(
          'unsupported',
          `the trigger "${trigger.name}" on "${table.name}" writes "${model.table.name}": ` +
            'one of them is a reference table, the other is partitioned',
        );
      }
      found.add(model.table.name);
      for (const event of eventsOf(model.ast)) this.write(model.table, event, null, found);
    }
  }

  #foreignKey(
    parent: Table,
    event: WriteEvent,
    child: Table,
    foreignKey: ForeignKey,
    found: Set<string>,
  ): void {
    if (parent.placement.kind === 'reference' && child.placement.kind === 'partitioned') {
      this.#referringKey(event === 'DELETE' ? 'DELETE' : 'UPDATE', parent, child, foreignKey);
      return;
    }
    if (!colocated(parent, child, foreignKey)) {
      refuse(
        'unsupported',
        `the foreign key of "${child.name}" to "${parent.name}" does not contain both partition keys`,
      );
    }
    const action = (event === 'DELETE' ? foreignKey.onDelete : foreignKey.onUpdate).toUpperCase();
    if (action === 'NO ACTION' || action === 'RESTRICT' || action === '') return;
    found.add(child.name);
    if (found === this.acted) this.cascaded.add(child.name);
    this.write(child, event === 'DELETE' && action === 'CASCADE' ? 'DELETE' : 'UPDATE', null, found);
  }

  /**
   * Where a foreign key, or a trigger, comes back to the table, the log may have to tell an update as a delete and a create (core/log/straighten.ts):
   * for rows elsewhere that would be another row.
   */
  #refuseReturn(parent: Table): void {
    const seen = new Set<string>();
    const waiting = [parent.name];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (this.#schema.triggersOn(name).length > 0) seen.add(asciiLower(parent.name));
      for (const child of this.#schema.catalogue.tables) {
        const refers = child.foreignKeys.some((each) => asciiLower(each.parent) === asciiLower(name ?? ''));
        if (!refers || child.placement.kind !== 'reference' || seen.has(asciiLower(child.name))) continue;
        seen.add(asciiLower(child.name));
        waiting.push(child.name);
      }
    }
    if (!seen.has(asciiLower(parent.name))) return;
    refuse(
      'unsupported',
      `the foreign keys or triggers of "${parent.name}" may come back to it, and rows of partitioned tables refer to its keys: insert a row with the ` +
        'new key, have the others refer to it, and delete the old one',
    );
  }

  #referringKey(event: 'DELETE' | 'UPDATE', parent: Table, child: Table, foreignKey: ForeignKey): void {
    const columns = foreignKey.columns.map(asciiLower);
    if (event === 'UPDATE') this.#refuseReturn(parent);
    refuseGenerated(parent, parentColumnsOf(foreignKey, parent));
    refuseGenerated(child, columns);
    const action = (event === 'DELETE' ? foreignKey.onDelete : foreignKey.onUpdate).toUpperCase();
    const forbids = action === 'NO ACTION' || action === 'RESTRICT' || action === '';
    const does = forbids ? null : event === 'DELETE' && action === 'CASCADE' ? 'DELETE' : 'UPDATE';
    const key = `${event} ${child.id} ${columns.join()} ${foreignKey.parent}`;
    this.referring.set(key, { child, foreignKey, does });
    if (does === null) return;
    this.acted.add(child.name);
    this.cascaded.add(child.name);
    this.write(child, does, columns.toSorted(), this.acted);
  }
}

/** Whether children live with their parents: both are reference tables, or the foreign key maps key to key. */
function colocated(parent: Table, child: Table, foreignKey: ForeignKey): boolean {
  if (parent.placement.kind === 'reference') return true;
  if (child.placement.kind === 'reference') return false;
  const parentKey = parent.placement.key;
  const childKey = child.placement.key;
  const classes = keyClassesOf(parent);
  const own = keyClassesOf(child);
  if (parentKey.length !== childKey.length) return false;
  const parentColumns = parentColumnsOf(foreignKey, parent);
  return childKey.every((name, i) => {
    const place = foreignKey.columns.findIndex((column) => asciiLower(column) === asciiLower(name));
    const counterpart = parentColumns[place];
    const [a, b] = [classes[i], own[i]];
    return (
      counterpart !== undefined &&
      asciiLower(counterpart) === asciiLower(parentKey[i] ?? '') &&
      a !== undefined &&
      b !== undefined &&
      sameClass(a, b)
    );
  });
}

function mayChangeParent(parent: Table, foreignKey: ForeignKey, changed: readonly string[] | null): boolean {
  return changesAny(parentColumnsOf(foreignKey, parent), changed);
}

/** Images of rows do not have them. */
function refuseGenerated({ name, columns }: Table, used: readonly string[]): void {
  const lower = used.map(asciiLower);
  const generated = columns.find(
    (column) => column.generated !== 'no' && lower.includes(asciiLower(column.name)),
  );
  if (generated === undefined) return;
  refuse(
    'unsupported',
    `the column "${generated.name}" of "${name}" is generated, and a foreign key to a reference table uses it: rows that are referred to cannot be taken away`,
  );
}

function changesAny(columns: readonly string[], changed: readonly string[] | null): boolean {
  if (changed === null) return true;
  const lower = columns.map(asciiLower);
  return changed.some((column) => lower.includes(column) || ROWID_NAMES.has(column));
}

/** What a statement may do to its target: REPLACE deletes, an upsert updates. */
export function eventsOf(ast: Insert | Update | Delete): WriteEvent[] {
  if (ast.kind === 'delete') return ['DELETE'];
  if (ast.kind === 'update') return ast.or === 'REPLACE' ? ['UPDATE', 'DELETE'] : ['UPDATE'];
  const events: WriteEvent[] = ['INSERT'];
  if (ast.upserts.some((upsert) => upsert.set !== null)) events.push('UPDATE');
  if (ast.or === 'REPLACE') events.push('DELETE');
  return events;
}
