import type { Collation } from '../../schema/table.ts';
import type { CoreModel } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import type { ResultColumn, SelectCore } from '../../sql/ast.ts';
import { quoteName } from '../../sqlite/quote.ts';
import type { RowLimit, SortKey } from '../plan.ts';
import type { Renderer } from '../renderer.ts';
import { type Edit, spliced } from '../splice.ts';
import { checkWidth, type Scattered, type ScatterQuestion } from './question.ts';
import { directionText, sortKey, sortTarget } from './sort.ts';

/**
 * The SELECT as it was written in each partition, with hidden columns for ORDER BY; the rows are concatenated
 * or merged in order. `distinct`: duplicates may come from several partitions.
 */
export function planWhole(
  question: ScatterQuestion,
  renderer: Renderer,
  core: CoreModel,
  limit: RowLimit | null,
  distinct: boolean,
): Scattered {
  const { ast } = core;
  if (ast.kind === 'values') return refuse('unsupported', 'VALUES with subqueries over several partitions');
  const { hidden, orderText, order } = sorting(question, renderer, core);
  if (ast.distinct && hidden.length > 0) {
    refuse(
      'unsupported',
      'SELECT DISTINCT with ORDER BY something that is not selected, over several partitions',
    );
  }
  checkWidth(core.outputs.length + hidden.length);
  const edits = [...renderer.edits(ast, null)];
  edits.push(...keptNames(ast.columns, question.sql, edits));
  const last = ast.columns.at(-1);
  if (last !== undefined && hidden.length > 0) {
    // After the alias that may have been added at the same place.
    edits.push({ start: last.end, end: last.end, text: `, ${hidden.join(', ')}` });
  }
  const bound = limit === null ? '' : ` LIMIT ${renderer.parameter({ kind: 'row-bound' })}`;
  return {
    sql: withText(question, renderer) + spliced(question.sql, ast, edits) + orderText + bound,
    merge: {
      columns: null,
      width: core.outputs.length,
      sorted: order.length > 0,
      aggregate: null,
      distinct: distinct && ast.distinct ? collationsOf(core) : null,
      order,
      limit,
    },
    reason: reasonOf(ast, distinct),
  };
}

function reasonOf(ast: SelectCore, distinct: boolean): string {
  if (ast.distinct && distinct) return 'duplicates are removed in each partition and again over all';
  if (ast.groupBy !== null) return 'groups contain the partition key, so that each is within one partition';
  return 'rows are independent of those in other partitions';
}

/** The WITH clause in front, if any. */
export function withText({ select, sql }: ScatterQuestion, renderer: Renderer): string {
  if (select.with === null) return '';
  return spliced(sql, { start: select.start, end: select.body.start }, renderer.edits(select.with, null));
}

export function collationsOf(core: CoreModel): Collation[] {
  return core.outputs.map((output) => output.collation ?? 'BINARY');
}

/** Unnamed result columns whose text is edited keep their names: SQLite names them by their text. */
export function keptNames(columns: readonly ResultColumn[], sql: string, edits: readonly Edit[]): Edit[] {
  const names: Edit[] = [];
  for (const column of columns) {
    if (column.kind !== 'result-expression' || column.alias !== null) continue;
    const { start, end } = column;
    if (!edits.some((edit) => edit.start >= start && edit.end <= end)) continue;
    names.push({ start: end, end, text: ` AS ${quoteName(sql.slice(start, end))}` });
  }
  return names;
}

interface Sorting {
  readonly hidden: readonly string[];
  readonly orderText: string;
  readonly order: readonly SortKey[];
}

/** ORDER BY by positions, so that the partition sorts by the very values that the merge compares. */
function sorting(question: ScatterQuestion, renderer: Renderer, core: CoreModel): Sorting {
  const { outputs, scope } = core;
  const hidden: string[] = [];
  const order: SortKey[] = [];
  const terms = question.model.orderBy.map((term) => {
    const target = sortTarget(term, outputs, scope);
    let column: number;
    let collation: Collation;
    let collate = '';
    if (target.kind === 'output') {
      column = target.index;
      collation = target.collate ?? outputs[column]?.collation ?? 'BINARY';
      if (target.collate !== null) collate = ` COLLATE ${target.collate}`;
    } else {
      column = outputs.length + hidden.length;
      hidden.push(renderer.expression(target.expression, scope));
      collation = question.analyzer.classOf(target.expression, scope).collation ?? 'BINARY';
    }
    order.push(sortKey(term, column, collation));
    return `${column + 1}${collate}${directionText(term)}`;
  });
  return { hidden, order, orderText: terms.length === 0 ? '' : ` ORDER BY ${terms.join(', ')}` };
}
