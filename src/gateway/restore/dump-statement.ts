import { RawText, type SqlValue } from '../../base/sql-value.ts';
import { constantOf } from '../../core/sql/analysis/constant.ts';
import type { Expression, Insert, Pragma } from '../../core/sql/ast.ts';
import { SqlSyntaxError } from '../../core/sql/error.ts';
import { parseStatement } from '../../core/sql/parse.ts';
import { AtollError } from '../../protocol/error.ts';

/** What a statement of a dump asks for. */
export type DumpStatement =
  | { readonly kind: 'nothing' | 'begin' | 'commit' }
  | { readonly kind: 'definition'; readonly sql: string }
  | {
      readonly kind: 'rows';
      readonly table: string;
      /** Null: all columns but generated ones. */
      readonly columns: readonly string[] | null;
      readonly rows: readonly (readonly SqlValue[])[];
    };

/** SQLITE_LIMIT_SQL_LENGTH in workerd (imposed): what SQLite itself runs. Rows are not sent as SQL. */
const DEFINITION_LENGTH_MAX = 100_000;

const DEFINITIONS: ReadonlySet<string> = new Set([
  'create-table',
  'create-index',
  'create-view',
  'create-trigger',
]);

/** @throws AtollError for what is no statement of a dump */
export function readDumpStatement(sql: string): DumpStatement {
  const { statement, start, end } = parse(sql);
  switch (statement.kind) {
    case 'begin':
    case 'commit':
      return { kind: statement.kind };
    case 'pragma':
      if (isForeignKeysOff(statement)) return { kind: 'nothing' };
      break;
    case 'insert':
      return readInsert(statement);
    default:
      if (!DEFINITIONS.has(statement.kind)) break;
      if (end - start > DEFINITION_LENGTH_MAX) {
        throw new AtollError('too-large', `the definition has more than ${DEFINITION_LENGTH_MAX} characters`);
      }
      return { kind: 'definition', sql: sql.slice(start, end) };
  }
  throw new AtollError(
    'unsupported',
    `${statement.kind} is no statement of a dump: CREATE TABLE, INDEX, VIEW and TRIGGER, and INSERT … VALUES are; run the others afterwards`,
  );
}

function parse(sql: string): ReturnType<typeof parseStatement> {
  try {
    return parseStatement(sql);
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error;
    throw new AtollError(error.kind === 'too-deep' ? 'too-deep' : 'syntax', error.message);
  }
}

function isForeignKeysOff({ name, value }: Pragma): boolean {
  const isOff = /^(off|0|no|false)$/i.test(value?.text ?? '');
  return name.name.name.toLowerCase() === 'foreign_keys' && isOff;
}

function readInsert({ with: ctes, or, table, columns, source, upserts, returning }: Insert): DumpStatement {
  const body = source?.body;
  const plain = ctes === null && or === null && upserts.length === 0 && returning === null;
  const values = source?.compounds.length === 0 && source.orderBy === null && source.limit === null;
  if (!plain || !values || body?.kind !== 'values' || source?.with !== null) {
    throw new AtollError('unsupported', 'a restore takes INSERT INTO t (…) VALUES (…), of values alone');
  }
  return {
    kind: 'rows',
    table: table.name.name,
    columns: columns?.map(({ name }) => name) ?? null,
    rows: body.rows.map(({ items }) => items.map(exactValue)),
  };
}

function exactValue(expression: Expression, index: number): SqlValue {
  const constant = constantOf(expression);
  if (constant?.kind === 'literal') return constant.value;
  const text = castText(expression);
  if (text !== null) return text;
  throw new AtollError(
    'unsupported',
    `value ${index + 1} of a row is no plain value: NULL, number, text or blob`,
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `CAST(x'…' AS TEXT)`, as text is written that a literal cannot hold. */
function castText(expression: Expression): string | RawText | null {
  if (expression.kind !== 'cast' || expression.type?.text.toUpperCase() !== 'TEXT') return null;
  const operand = constantOf(expression.operand);
  if (operand?.kind !== 'literal' || !(operand.value instanceof Uint8Array)) return null;
  try {
    return utf8.decode(operand.value);
  } catch {
    return new RawText(operand.value);
  }
}
