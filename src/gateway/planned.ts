import type { SqlValue } from '../base/sql-value.ts';
import { readArguments } from '../core/execution/arguments.ts';
import type { Plan } from '../core/plan/plan.ts';
import { planStatement } from '../core/plan/statement.ts';
import type { Schema } from '../core/schema/catalogue.ts';
import type { ParsedStatement } from '../core/sql/ast.ts';
import { SqlSyntaxError } from '../core/sql/error.ts';
import { parseStatement } from '../core/sql/parse.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import type { Role } from './auth/role.ts';
import type { KnownNetwork } from './known-network.ts';

/** SQLITE_LIMIT_SQL_LENGTH in workerd (imposed). */
const SQL_LENGTH_MAX = 100_000;

export interface PlannedText {
  readonly parsed: ParsedStatement;
  readonly plan: Plan;
}

/** A client's statement with its plan and its arguments. */
export interface Planned extends PlannedText {
  readonly statement: WireStatement;
  readonly args: readonly SqlValue[];
}

/** @throws AtollError for what does not parse, and for arguments that do not fit */
export function planClientStatement(statement: WireStatement, known: KnownNetwork): Planned {
  const { parsed, plan } = known.plan(statement.sql, () => planText(statement.sql, known.schema));
  const args = plan.kind === 'refused' ? [] : readArguments(parsed, statement.args);
  return { statement, parsed, plan, args };
}

function planText(sql: string, schema: Schema): PlannedText {
  if (sql.length > SQL_LENGTH_MAX) {
    throw new AtollError(
      'too-large',
      `the statement has ${sql.length} characters, ${SQL_LENGTH_MAX} are allowed: pass values as args`,
    );
  }
  try {
    const parsed = parseStatement(sql);
    return { parsed, plan: planStatement(parsed, sql, schema) };
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    const { line, column, near } = error;
    const code = error.kind === 'too-deep' ? 'too-deep' : 'syntax';
    throw new AtollError(code, error.message, 'none', { line, column, near });
  }
}

/** What a token must allow for a plan to run. */
export function neededRole(plan: Plan): Role {
  switch (plan.kind) {
    case 'schema':
      return 'admin';
    case 'scatter-write':
    case 'reference-write':
      return 'write';
    case 'route':
      return plan.access;
    default:
      return 'read';
  }
}

/** Whether a newer schema might give another plan: then the router asks before it refuses. */
export function dependsOnSchema(plan: Plan): boolean {
  return plan.kind === 'refused' && plan.code !== 'internal-name' && plan.code !== 'forbidden-statement';
}
