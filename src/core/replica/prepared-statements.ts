import { asciiLower } from '../../base/ascii.ts';
import { AtollError } from '../../protocol/error.ts';
import { guardStatement } from '../execution/guard.ts';
import { type Prepared, prepare } from '../execution/prepare.ts';
import type { Plan } from '../plan/plan.ts';
import { planStatement } from '../plan/statement.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Table } from '../schema/table.ts';
import type { Update } from '../sql/ast.ts';
import { SqlSyntaxError } from '../sql/error.ts';
import { parseStatement } from '../sql/parse.ts';

/** Statements kept (chosen: an application has some hundred texts). */
const PREPARED_MAX = 512;
/** SQLITE_LIMIT_SQL_LENGTH in workerd, bytes (imposed). */
export const SQL_BYTES_MAX = 100_000;

export interface Ready extends Prepared {
  /** The write may change rows that its analysis does not pin: see `ownership.ts`. */
  readonly mayEscape: boolean;
}

/** Statements prepared for one schema version, by their text; the least recently used goes first. */
export class PreparedStatements {
  readonly #schema: Schema;
  readonly #isSystem: boolean;
  readonly #ready = new Map<string, Ready>();
  readonly #plans = new WeakMap<Ready, Plan | null>();

  constructor(schema: Schema, isSystem: boolean) {
    this.#schema = schema;
    this.#isSystem = isSystem;
  }

  /** @throws AtollError for what no partition runs */
  get(sql: string): Ready {
    let ready = this.#ready.get(sql);
    if (ready !== undefined) {
      this.#ready.delete(sql);
      this.#ready.set(sql, ready);
      return ready;
    }
    ready = this.#prepare(sql);
    if (this.#ready.size >= PREPARED_MAX) {
      const oldest = this.#ready.keys().next();
      if (!oldest.done) this.#ready.delete(oldest.value);
    }
    this.#ready.set(sql, ready);
    return ready;
  }

  /**
   * How the statement would be planned here, which tells what it accesses. Made when it is first asked for. Null: what a
   * router has made of a client's statement cannot always be planned again.
   */
  planOf(ready: Ready): Plan | null {
    let plan = this.#plans.get(ready);
    if (plan === undefined) {
      const { parsed, sql } = ready;
      const made = parsed.statement.kind === 'pragma' ? null : planStatement(parsed, sql, this.#schema);
      plan = made?.kind === 'refused' ? null : made;
      this.#plans.set(ready, plan);
    }
    return plan;
  }

  #prepare(sql: string): Ready {
    if (sql.length > SQL_BYTES_MAX) {
      throw new AtollError(
        'too-large',
        `the statement has ${sql.length} characters; ${SQL_BYTES_MAX} are allowed: pass values as args`,
      );
    }
    try {
      const parsed = parseStatement(sql);
      guardStatement(parsed.statement);
      const prepared = prepare(sql, parsed, this.#schema);
      const { target } = prepared;
      if (target !== null && (target.placement.kind === 'reference') !== this.#isSystem) {
        throw new AtollError('stale', `${target.name} is not written in this partition`);
      }
      return { ...prepared, mayEscape: this.#mayEscape(prepared) };
    } catch (error) {
      if (!(error instanceof SqlSyntaxError)) throw error;
      throw new AtollError(error.kind === 'too-deep' ? 'too-deep' : 'syntax', error.message);
    }
  }

  #mayEscape({ parsed, target, access }: Prepared): boolean {
    if (access === 'read') return false;
    if (target === null) return true; // A view with INSTEAD OF triggers.
    const { statement } = parsed;
    if (statement.kind === 'insert' && statement.source !== null && statement.source.body.kind !== 'values')
      return true;
    if (this.#schema.triggersOn(target.name).length > 0) return true;
    if (this.#schema.uniquesOf(target).length > 0) return true;
    if (this.#schema.referencesOf(target).length + this.#schema.referencesTo(target).length > 0) return true;
    if (statement.kind === 'update' && setsKey(statement, target)) return true;
    const name = asciiLower(target.name);
    return this.#schema.catalogue.tables.some((table) =>
      table.foreignKeys.some((foreignKey) => asciiLower(foreignKey.parent) === name),
    );
  }
}

/** Names that the key does not know may be other names of the rowid: it may be meant. */
function setsKey({ set }: Update, { placement, columns }: Table): boolean {
  if (placement.kind !== 'partitioned') return false;
  const key = placement.key.map(asciiLower);
  const own = new Set(columns.map((column) => asciiLower(column.name)));
  return set.some((assignment) =>
    assignment.columns.some(({ name }) => key.includes(asciiLower(name)) || !own.has(asciiLower(name))),
  );
}
