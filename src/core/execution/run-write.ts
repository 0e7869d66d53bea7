import { asciiLower } from '../../base/ascii.ts';
import { AssertionError, assert } from '../../base/assert.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import { isPartitionedById } from '../schema/keyed-by-id.ts';
import type { Table } from '../schema/table.ts';
import { type Edit, splice } from '../sql/splice.ts';
import type { PortResult, PortValue, SqlitePort } from '../sqlite/port.ts';
import { PARAMETERS_MAX } from './arguments.ts';
import { toPort } from './bindings.ts';
import { type ExecutionContext, query, type StatementResult } from './context.ts';
import { encodeTaggedRows } from './encode-rows.ts';
import { type GeneratedNeed, type IdentifierNeed, idList, isWrongWidth } from './insert-identifiers.ts';
import { classesOfArguments, keepVariant, type Prepared, parameterEdits } from './prepare.ts';
import { TAG_COLUMN } from './typed-sql.ts';

export function runWrite(
  context: ExecutionContext,
  prepared: Prepared,
  args: readonly SqlValue[],
): StatementResult {
  const { port } = context;
  const { statement } = prepared.parsed;
  const upserts = statement.kind === 'insert' && statement.upserts.length > 0;
  const before = upserts ? lastRowid(port) : null;
  const { sql, bindings, generated, settle } = writeSql(context, prepared, args);
  const result = query(context, sql, bindings);
  if (prepared.insertsAll !== null && generated !== null) {
    // Every row was inserted, or the statement would have failed: SQLite need not be asked.
    return { ...returned(result), rowsAffected: prepared.insertsAll, lastInsertRowid: BigInt(generated) };
  }
  const counts = port.query('SELECT changes(), CAST(last_insert_rowid() AS TEXT)').rows[0];
  assert(counts !== undefined, 'changes() has a row');
  const rowsAffected = Number(counts[0]);
  const last =
    statement.kind === 'insert' && rowsAffected > 0 && hasRowid(prepared.target)
      ? BigInt(String(counts[1]))
      : null;
  settle?.();
  // An upsert that only updates leaves what the connection's last INSERT, somebody else's, has set.
  return { ...returned(result), rowsAffected, lastInsertRowid: last === before ? null : last };
}

function hasRowid(target: Table | null): boolean {
  return target !== null && target.rowidName !== null;
}

function lastRowid(port: SqlitePort): bigint {
  return BigInt(String(port.query('SELECT CAST(last_insert_rowid() AS TEXT)').rows[0]?.[0]));
}

/** The rows of a RETURNING, whose last column is their tags. */
function returned(result: PortResult): Pick<StatementResult, 'columns' | 'rows' | 'rowCount'> {
  const rowCount = result.rows.length;
  if (result.columns.at(-1) !== TAG_COLUMN) return { columns: [], rows: '[]', rowCount };
  return {
    columns: result.columns.slice(0, -1),
    rows: encodeTaggedRows(result.rows, true) ?? '[]',
    rowCount,
  };
}

interface Bound {
  readonly sql: string;
  readonly bindings: PortValue[];
  /** The id of the last row, if it is surely a generated one. */
  readonly generated: number | null;
  /** To be done once the statement has run. */
  readonly settle?: () => void;
}

/** The write's text with ids in place, cached by the arguments' classes and by which rows need an id. */
function writeSql(context: ExecutionContext, prepared: Prepared, args: readonly SqlValue[]): Bound {
  const bindings = args.map(toPort);
  const { identifiers, target } = prepared;
  if (identifiers === null || target === null) {
    const sql = cached(prepared, classesOfArguments(args), () => parameterEdits(prepared, args));
    return { sql, bindings, generated: null };
  }
  if (identifiers.plan.kind === 'select') return insertSelectSql(context, prepared, args, bindings);
  const { needs } = identifiers.plan;
  const needing = needs.filter((need) => needsIdentifier(need, args));
  if (!mayGiveIds(target) && context.mayGiveIds?.(target) !== true)
    for (const need of needs) refuseGiven(need, args, target);
  const given = needs.flatMap((need) => givenIdentifier(need, args));
  const ids = needing.length === 0 ? [] : context.takeIdentifiers(target, needing.length, given);
  const edits = (idText: (index: number) => string): Edit[] => [
    ...parameterEdits(prepared, args),
    ...identifiers.edits,
    ...needing.flatMap((need, index) => need.edits(idText(index))),
  ];
  const count = prepared.parsed.parameterCount;
  const last = needing.at(-1);
  const generated =
    last?.row === needs.length - 1 && last.kind !== 'expression' ? (ids.at(-1) ?? null) : null;
  if (count + ids.length > PARAMETERS_MAX) {
    const inText = edits((index) => String(ids[index]));
    return { sql: rewritten(prepared, inText), bindings, generated };
  }
  // Which rows need an id depends on the arguments that are NULL, so their places are part of the key.
  const key = `${classesOfArguments(args)}/${needing.map((need) => need.row).join()}`;
  const sql = cached(prepared, key, () => edits((index) => `?${count + 1 + index}`));
  return { sql, bindings: [...bindings, ...ids], generated };
}

function needsIdentifier(need: IdentifierNeed, args: readonly SqlValue[]): need is GeneratedNeed {
  if (need.kind === 'parameter') return (args[need.index - 1] ?? null) === null;
  return need.kind !== 'given';
}

/** Whether equal ids meet in one place: where the id is in the partition key, or where all copies are written. */
function mayGiveIds({ placement, rowidColumn, rowidName }: Table): boolean {
  if (placement.kind === 'reference') return true;
  const id = asciiLower(rowidColumn ?? rowidName ?? '');
  return placement.key.some((name) => asciiLower(name) === id);
}

/** The plan lets pass what the router has asked all partitions for, and a parameter that may be NULL. */
function refuseGiven(
  need: IdentifierNeed,
  args: readonly SqlValue[],
  { name, rowidColumn, rowidName }: Table,
) {
  if (need.kind === 'generate' || (need.kind === 'parameter' && needsIdentifier(need, args))) return;
  throw new AtollError(
    'needs-global-index',
    `"${rowidColumn ?? rowidName}" is the id of "${name}", which is not its partition key: it cannot be set here; give NULL or leave it out`,
  );
}

/** The id that a row brings along, which no other row of the statement must get. */
function givenIdentifier(need: IdentifierNeed, args: readonly SqlValue[]): number[] {
  if (need.kind !== 'given' && need.kind !== 'parameter') return [];
  const value = need.kind === 'given' ? need.value : Number(args[need.index - 1] ?? Number.NaN);
  return value !== null && Number.isSafeInteger(value) ? [value] : [];
}

/** INSERT … SELECT: the SELECT is counted first, since ids are taken before they are used. */
function insertSelectSql(
  context: ExecutionContext,
  prepared: Prepared,
  args: readonly SqlValue[],
  bindings: PortValue[],
): Bound {
  const { identifiers, target, parsed } = prepared;
  const { statement } = parsed;
  assert(identifiers?.plan.kind === 'select' && target !== null, 'no ids to generate');
  assert(statement.kind === 'insert' && statement.source !== null, 'ids for a SELECT without a SELECT');
  const { plan } = identifiers;
  const edits = parameterEdits(prepared, args);
  const { start, end } = statement.source;
  const part = (from: number, to: number, more: readonly Edit[] = []) =>
    spliceBetween(prepared.sql, from, to, [...edits, ...more]);
  const outer = statement.with === null ? '' : part(statement.with.start, statement.with.end);
  // Parameters of other parts of the statement are not in this one, whose count of them must fit.
  const used = parsed.parameters.filter(
    (parameter) => parameter.end <= end && (parameter.start >= start || statement.with !== null),
  );
  const sourceArgs = bindings.slice(0, Math.max(0, ...used.map((parameter) => parameter.index)));
  const firstColumn = (more: readonly Edit[]): PortValue[] => {
    const query = `${outer} SELECT * FROM (${part(start, end, more)}\n)`;
    try {
      return context.port.query(query, ...sourceArgs).rows.map(([value]) => value ?? null);
    } catch (error) {
      if (!isWrongWidth(error)) throw error;
      context.port.query(rewritten(prepared, edits), ...bindings);
      throw new AssertionError('a SELECT of the wrong width is refused');
    }
  };
  const count = Number(firstColumn(plan.countEdits())[0]);
  const { gives } = plan;
  // Ids that a partition owns do not follow each other, and others may be given among them.
  const isApart = isPartitionedById(target);
  const isListed = isApart && count > 0;
  const given = isListed && gives ? firstColumn(plan.givenEdits()).map(Number) : [];
  const taken = count === 0 ? [] : context.takeIdentifiers(target, count, given);
  const parameter = parsed.parameterCount + 1;
  if (isListed && parameter > PARAMETERS_MAX) throw noParameterLeft();
  const ids = isListed ? { parameter } : { first: taken[0] ?? 0 };
  const sql = rewritten(prepared, [
    ...edits,
    ...identifiers.edits,
    ...(count === 0 && gives ? [] : plan.selectEdits({ ids, count })),
  ]);
  // Those that it gives itself may lie ahead.
  return {
    sql,
    bindings: isListed ? [...bindings, idList(taken)] : bindings,
    generated: null,
    ...(gives && !isApart && { settle: () => context.passIdentifiers(target) }),
  };
}

function noParameterLeft(): AtollError {
  return new AtollError(
    'too-many-parameters',
    `an INSERT … SELECT that generates ids which are the partition key may have ${PARAMETERS_MAX - 1} parameters: pass lists as one JSON text and ` +
      'read it with json_each(?)',
  );
}

function spliceBetween(sql: string, start: number, end: number, edits: readonly Edit[]): string {
  return splice(
    sql.slice(start, end),
    edits
      .filter((edit) => edit.start >= start && edit.end <= end)
      .map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start })),
  );
}

function cached(prepared: Prepared, key: string, edits: () => Edit[]): string {
  let sql = prepared.variants.get(key);
  if (sql === undefined) {
    sql = rewritten(prepared, edits());
    keepVariant(prepared, key, sql);
  }
  return sql;
}

function rewritten(prepared: Prepared, edits: readonly Edit[]): string {
  return splice(prepared.sql.slice(0, prepared.parsed.end), edits);
}
