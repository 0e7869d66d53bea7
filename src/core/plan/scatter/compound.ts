import type { Collation } from '../../schema/table.ts';
import type { CoreModel } from '../../sql/analysis/model.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import type { RowLimit, SortKey } from '../plan.ts';
import type { Renderer } from '../renderer.ts';
import { type Edit, spliced } from '../splice.ts';
import { refuseSplit, type Scattered, type ScatterQuestion } from './question.ts';
import { directionText, sortKey, sortTarget } from './sort.ts';
import { keptNames, withText } from './whole.ts';

/** UNION ALL, or UNION whose duplicates are removed again over all; every arm must fall apart by partition key. */
export function planCompound(
  question: ScatterQuestion,
  renderer: Renderer,
  limit: RowLimit | null,
): Scattered {
  const { select, model, sql } = question;
  const operators = new Set(select.compounds.map((term) => term.operator));
  const [operator] = operators;
  if (operators.size > 1 || (operator !== 'UNION ALL' && operator !== 'UNION')) {
    refuseSplit(question, 'only UNION ALL, or only UNION, is split by partitions');
  }
  for (const core of model.cores) {
    if (core.ast.kind === 'values')
      refuseSplit(question, 'an arm of the UNION is VALUES, the same in each partition');
    if (core.anchor.kind === 'none') refuseSplit(question, `in an arm of the UNION, ${core.anchor.why}`);
  }
  const edits: Edit[] = [];
  for (const { ast } of model.cores) {
    const own = renderer.edits(ast, null);
    edits.push(...own);
    if (ast.kind === 'select-core') edits.push(...keptNames(ast.columns, sql, own));
  }
  const end = select.compounds.at(-1)?.end ?? select.body.end;
  const { orderText, order } = sorting(question, model.cores);
  const bound = limit === null ? '' : ` LIMIT ${renderer.parameter({ kind: 'row-bound' })}`;
  const width = model.outputs.length;
  const text = spliced(sql, { start: select.body.start, end }, edits);
  return {
    sql: withText(question, renderer) + text + orderText + bound,
    merge: {
      columns: null,
      width,
      sorted: order.length > 0,
      aggregate: null,
      distinct: operator === 'UNION' ? model.outputs.map((_, i) => collationOf(model.cores, i)) : null,
      order,
      limit,
    },
    reason: 'every arm of the UNION is independent of rows in other partitions',
  };
}

/** As SQLite's multiSelectCollSeq: that of the leftmost arm that has one. */
function collationOf(cores: readonly CoreModel[], i: number): Collation {
  for (const core of cores) {
    const collation = core.outputs[i]?.collation;
    if (collation != null) return collation;
  }
  return 'BINARY';
}

function sorting(
  question: ScatterQuestion,
  cores: readonly CoreModel[],
): { orderText: string; order: readonly SortKey[] } {
  const { model } = question;
  const named = model.outputs.map((output) => ({ ...output, alias: output.alias ?? output.name }));
  const order: SortKey[] = [];
  const terms = model.orderBy.map((term) => {
    const target = sortTarget(term, named, null);
    if (target.kind === 'expression') {
      return refuse(
        'unsupported',
        'ORDER BY of a UNION over several partitions: use a name of the first SELECT, or a position',
      );
    }
    order.push(sortKey(term, target.index, target.collate ?? collationOf(cores, target.index)));
    const collate = target.collate === null ? '' : ` COLLATE ${target.collate}`;
    return `${target.index + 1}${collate}${directionText(term)}`;
  });
  return { order, orderText: terms.length === 0 ? '' : ` ORDER BY ${terms.join(', ')}` };
}
