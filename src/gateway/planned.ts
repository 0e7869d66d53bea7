import { RawText, type SqlValue } from '../base/sql-value.ts';
import { readArguments } from '../core/execution/arguments.ts';
import { asOfClause } from '../core/plan/as-of.ts';
import type { Plan } from '../core/plan/plan.ts';
import { isQuick } from '../core/plan/quick.ts';
import { planStatement } from '../core/plan/statement.ts';
import type { Schema } from '../core/schema/catalogue.ts';
import type { Constant } from '../core/sql/analysis/constant.ts';
import type { ParsedStatement } from '../core/sql/ast.ts';
import { SqlSyntaxError } from '../core/sql/error.ts';
import { parseStatement } from '../core/sql/parse.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { encodeValue } from '../protocol/json-value.ts';
import type { Role } from './auth/role.ts';
import type { KnownNetwork } from './known-network.ts';

/** SQLITE_LIMIT_SQL_LENGTH in workerd (imposed). */
const SQL_LENGTH_MAX = 100_000;

export interface PlannedText {
  readonly parsed: ParsedStatement;
  readonly plan: Plan;
  /** Its AS OF, which is no part of the plan. */
  readonly asOf: PlannedAsOf | null;
  readonly quick: boolean;
}

/** The moment of AS OF, and the statement without the clause, with as many parameters as it has then. */
export interface PlannedAsOf {
  readonly moment: Constant;
  readonly rest: string;
  readonly parameterCount: number;
}

/** A client's statement with its plan and its arguments. */
export interface Planned extends PlannedText {
  /** As partitions are to run it: without AS OF. */
  readonly statement: WireStatement;
  readonly args: readonly SqlValue[];
}

/** @throws AtollError for what does not parse, and for arguments that do not fit */
export function planClientStatement(statement: WireStatement, known: KnownNetwork): Planned {
  const text = known.plan(statement.sql, () => planText(statement.sql, known.schema));
  const { parsed, plan, asOf } = text;
  const args =
    plan.kind === 'refused' || plan.kind === 'explain' ? [] : readArguments(parsed, statement.args);
  checkSizes(args);
  return { ...text, statement: asOf === null ? statement : withoutAsOf(asOf, statement, args), args };
}

/** An argument that only the clause has stands behind all others, since the clause stands behind the rest of the text. */
function withoutAsOf(
  { moment, rest, parameterCount }: PlannedAsOf,
  { args }: WireStatement,
  values: readonly SqlValue[],
): WireStatement {
  if (moment.kind === 'literal') return args === undefined ? { sql: rest } : { sql: rest, args };
  const own = values.slice(0, parameterCount).map(encodeValue);
  return { sql: rest, args: parseJson(`[${own.join()}]`) };
}

/** @throws AtollError for what does not parse */
export function planText(sql: string, schema: Schema): PlannedText {
  if (sql.length > SQL_LENGTH_MAX) {
    throw new AtollError(
      'too-large',
      `the statement has ${sql.length} characters, ${SQL_LENGTH_MAX} are allowed: pass values as args`,
    );
  }
  try {
    const parsed = parseStatement(sql);
    const clause = asOfClause(parsed, sql);
    const quick = clause === null && isQuick(parsed.statement, schema);
    if (clause === null) return { parsed, plan: planStatement(parsed, sql, schema), asOf: null, quick };
    const { moment, rest } = clause;
    if (moment === null) return { parsed, plan: COMPUTED, asOf: null, quick };
    const own = parseStatement(rest);
    const plan = planStatement(own, rest, schema);
    return { parsed, plan, asOf: { moment, rest, parameterCount: own.parameterCount }, quick };
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    const { line, column, near } = error;
    const code = error.kind === 'too-deep' ? 'too-deep' : 'syntax';
    throw new AtollError(code, error.message, 'none', { line, column, near });
  }
}

const COMPUTED: Plan = {
  kind: 'refused',
  code: 'unsupported',
  message: 'AS OF takes a literal or a parameter: compute the moment before',
};

/** What a token must allow for a plan to run. */
export function neededRole(plan: Plan): Role {
  switch (plan.kind) {
    case 'schema':
      return 'admin';
    case 'scatter-write':
    case 'reference-write':
    case 'gathered-insert':
      return 'write';
    case 'route':
      return plan.access;
    default:
      return 'read';
  }
}

/** A refusal by the router alone: under a newer schema the answer might be another one. */
export class PlanRefusal extends AtollError {
  override name = 'PlanRefusal';
}

/** Whether the plan refuses, or explains that it would, for a reason that a newer schema may take away. */
export function refusesBySchema(plan: Plan): boolean {
  if (plan.kind === 'explain') return refusesBySchema(plan.of);
  return plan.kind === 'refused' && plan.code !== 'internal-name' && plan.code !== 'forbidden-statement';
}

/** Largest text or blob, bytes (imposed: https://developers.cloudflare.com/durable-objects/platform/limits/). */
const VALUE_BYTES_MAX = 2 * 1024 * 1024;

/** Local workerd would take more, and the statement then fail where it is deployed. */
function checkSizes(args: readonly SqlValue[]): void {
  for (const [index, value] of args.entries()) {
    if (bytesAtMost(value) <= VALUE_BYTES_MAX) continue;
    const bytes = typeof value === 'string' ? new TextEncoder().encode(value).byteLength : bytesAtMost(value);
    if (bytes <= VALUE_BYTES_MAX) continue;
    throw new AtollError(
      'too-large',
      `argument ${index + 1} has ${bytes} bytes, a value may have ${VALUE_BYTES_MAX}: store it in parts`,
    );
  }
}

/** In UTF-8 a UTF-16 unit is three bytes at most. */
function bytesAtMost(value: SqlValue): number {
  if (typeof value === 'string') return 3 * value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  return value instanceof RawText ? value.bytes.byteLength : 8;
}
