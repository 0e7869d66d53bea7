import type { Schema } from '../schema/catalogue.ts';
import { Refusal, refuse } from '../sql/analysis/refusal.ts';
import { isSystemTable } from '../sql/analysis/system-tables.ts';
import type { Insert, ParsedStatement, Statement } from '../sql/ast.ts';
import { planChange } from './change.ts';
import { planInsert } from './insert.ts';
import { planGathered } from './insert-gathered.ts';
import { checkNames, namedTables } from './names.ts';
import type { Plan, TransactionControlPlan } from './plan.ts';
import { planPragma } from './pragma.ts';
import { planSelect } from './select.ts';

export interface PlanOptions {
  /** Reserved: what the router allows may depend on the database. */
  readonly database?: string;
}

/**
 * The plan of one statement of `sql` under `schema`. Never throws for what a client may write: what cannot be
 * planned is a `refused` plan. Cache it by SQL text and schema version.
 */
export function planStatement(
  parsed: ParsedStatement,
  sql: string,
  schema: Schema,
  _options: PlanOptions = {},
): Plan {
  try {
    return planAny(parsed, parsed.statement, sql, schema);
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'refused', code: error.code, message: error.message };
    throw error;
  }
}

function planAny(parsed: ParsedStatement, statement: Statement, sql: string, schema: Schema): Plan {
  if (statement.kind === 'explain') {
    const plan = planStatement({ ...parsed, statement: statement.statement }, sql, schema);
    return { kind: 'explain', of: plan };
  }
  checkNames(statement);
  switch (statement.kind) {
    case 'select':
    case 'insert':
    case 'update':
    case 'delete':
      return planData(parsed, statement, sql, schema);
    case 'pragma':
      return planPragma(statement);
    case 'begin':
    case 'commit':
    case 'savepoint':
    case 'release':
      return transactionControl(statement.kind);
    case 'rollback':
      return transactionControl(statement.savepoint === null ? 'rollback' : 'rollback-to');
    case 'attach':
    case 'detach':
      return refuse(
        'forbidden-statement',
        `${statement.kind.toUpperCase()}: a database of Atoll's is chosen by its URL`,
      );
    case 'vacuum':
      return refuse('forbidden-statement', 'VACUUM: partitions look after their files themselves');
    case 'analyze':
    case 'reindex':
      return refuse('unsupported', `${statement.kind.toUpperCase()} is not there yet`);
    case 'create-table':
    case 'create-view':
    case 'create-trigger':
      if (isSystemTable(statement.name.name.name)) {
        refuse('internal-name', `"${statement.name.name.name}" is the name of one of Atoll's own tables`);
      }
      if (statement.temporary)
        refuse('forbidden-statement', 'temporary objects: partitions keep no sessions');
      return { kind: 'schema', reason: 'it changes the schema' };
    case 'create-index':
    case 'create-virtual-table':
    case 'alter-table':
    case 'drop':
      return { kind: 'schema', reason: 'it changes the schema' };
  }
}

function planData(
  parsed: ParsedStatement,
  statement: Statement & { kind: 'select' | 'insert' | 'update' | 'delete' },
  sql: string,
  schema: Schema,
): Plan {
  const named = namedTables(statement);
  if (statement.kind === 'select' && named.system.length > 0) {
    if (named.others.length === 0) {
      return {
        kind: 'system',
        tables: named.system,
        reason: "Atoll's own tables live in the system partition",
      };
    }
    refuse(
      'unsupported',
      `${named.system[0]} cannot be read together with other tables yet: read it by itself`,
    );
  }
  switch (statement.kind) {
    case 'select':
      return planSelect(parsed, statement, sql, schema);
    case 'insert':
      return planInsertOrGather(parsed, statement, sql, schema);
    default:
      return planChange(statement, sql, schema);
  }
}

function planInsertOrGather(parsed: ParsedStatement, ast: Insert, sql: string, schema: Schema): Plan {
  try {
    return planInsert(parsed, ast, sql, schema);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const gathered = gatheredInstead(error, () => planGathered(parsed, ast, sql, schema));
    if (gathered === null) throw error;
    return gathered;
  }
}

/** @throws Refusal for both reasons */
function gatheredInstead({ code, message }: Refusal, plan: () => Plan | null): Plan | null {
  try {
    return plan();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // A mistake is found again.
    if (code !== 'unsupported' || error.message === message) return null;
    throw new Refusal(code, `${message}; nor can its rows be read first: ${error.message}`);
  }
}

function transactionControl(action: TransactionControlPlan['action']): TransactionControlPlan {
  return {
    kind: 'transaction-control',
    action,
    code: 'unsupported',
    message:
      'a transaction over several requests begins with POST /v1/transactions; or send the statements together to /v1/batch',
  };
}
