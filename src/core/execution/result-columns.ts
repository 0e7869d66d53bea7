import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import type { Column, Table } from '../schema/table.ts';
import type { Expression, From, ResultColumn, Select, TableSource } from '../sql/ast.ts';

/**
 * What a result column's source says about the numbers in it, where a port reads INTEGER and REAL alike as
 * doubles. A column of INTEGER or NUMERIC affinity never holds an integral REAL below 2^53, one of REAL
 * affinity never an INTEGER, one of TEXT affinity no number (https://www.sqlite.org/datatype3.html section 3).
 */
export type NumberClass = 'integer' | 'real' | 'none';

/** The class of every result column, or null when some column needs `typeof` to tell. */
export function numberClasses(select: Select, schema: Schema): readonly NumberClass[] | null {
  if (select.with !== null || select.compounds.length > 0 || select.body.kind !== 'select-core') return null;
  const sources = select.body.from === null ? [] : tablesOf(select.body.from, schema);
  if (sources === null) return null;
  const classes: NumberClass[] = [];
  for (const column of select.body.columns) {
    const found = classesOf(column, sources);
    if (found === null) return null;
    classes.push(...found);
  }
  return classes;
}

interface Source {
  readonly name: string;
  readonly table: Table;
}

/** Plain tables joined in a flat chain, or null. NATURAL and USING merge columns, which `*` then skips. */
function tablesOf(from: From, schema: Schema): Source[] | null {
  const sources: Source[] = [];
  const add = (source: TableSource): boolean => {
    if (source.kind !== 'table') return false;
    const table = schema.table(source.name.name);
    if (table === undefined) return false;
    sources.push({ name: asciiLower((source.alias ?? source.name).name), table });
    return true;
  };
  if (!add(from.first)) return null;
  for (const join of from.joins) {
    if (join.natural || join.using !== null || !add(join.table)) return null;
  }
  return sources;
}

function classesOf(column: ResultColumn, sources: readonly Source[]): readonly NumberClass[] | null {
  if (column.kind === 'result-expression') {
    const found = classOf(column.expression, sources);
    return found === null ? null : [found];
  }
  const wanted = column.table === null ? null : asciiLower(column.table.name);
  const classes: NumberClass[] = [];
  for (const source of sources) {
    if (wanted !== null && source.name !== wanted) continue;
    for (const each of source.table.columns) {
      const found = classOfColumn(each);
      if (found === null) return null;
      classes.push(found);
    }
  }
  return classes.length === 0 ? null : classes;
}

/** Functions whose result is an INTEGER, a TEXT or NULL whatever their arguments are. */
const FUNCTION_CLASS: Readonly<Record<string, NumberClass>> = {
  count: 'integer',
  length: 'integer',
  unicode: 'integer',
  instr: 'integer',
  total: 'real',
  avg: 'real',
  upper: 'none',
  lower: 'none',
  hex: 'none',
  typeof: 'none',
  group_concat: 'none',
};

function classOf(expression: Expression, sources: readonly Source[]): NumberClass | null {
  if (expression.kind === 'function') return FUNCTION_CLASS[expression.function] ?? null;
  if (expression.kind !== 'column') return null;
  const name = asciiLower(expression.name.name);
  const wanted = expression.table === null ? null : asciiLower(expression.table.name);
  for (const source of sources) {
    if (wanted !== null && source.name !== wanted) continue;
    const column = source.table.columns.find((each) => asciiLower(each.name) === name);
    if (column !== undefined) return classOfColumn(column);
    const { rowidName, rowidColumn } = source.table;
    if (rowidName !== null && rowidColumn === null && rowidName === name) return 'integer';
  }
  return null;
}

function classOfColumn(column: Column): NumberClass | null {
  switch (column.affinity) {
    case 'INTEGER':
    case 'NUMERIC':
      return 'integer';
    case 'REAL':
      return 'real';
    case 'TEXT':
      return 'none';
    case 'BLOB':
      return null;
  }
}
