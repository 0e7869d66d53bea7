import type { SqlValue } from '../../../base/sql-value.ts';
import { evaluate } from '../evaluate/evaluate.ts';
import { truth } from '../evaluate/number.ts';
import type { Aggregation } from '../plan.ts';
import { type Folder, folderOf } from './fold.ts';
import { groupKey } from './group.ts';

type Row = readonly SqlValue[];

interface Group {
  readonly keys: Row;
  readonly folders: readonly Folder[];
}

/**
 * Groups partial rows anew, filters by HAVING and projects. Without group columns there is one group, also of
 * no rows.
 */
export function aggregateRows(
  rows: Iterable<Row>,
  aggregation: Aggregation,
  args: readonly SqlValue[],
): Row[] {
  const groups = new Map<string, Group>();
  const count = aggregation.group.length;
  if (count === 0) groups.set('', newGroup([], aggregation));
  for (const row of rows) {
    const key = groupKey(row, aggregation.group);
    let group = groups.get(key);
    if (group === undefined) {
      group = newGroup(row.slice(0, count), aggregation);
      groups.set(key, group);
    }
    for (const folder of group.folders) folder.add(row);
  }
  const result: Row[] = [];
  for (const { keys, folders } of groups.values()) {
    const at = { args, slots: [...keys, ...folders.map((folder) => folder.result())] };
    const { having } = aggregation;
    if (having !== null && truth(evaluate(having, at)) !== true) continue;
    result.push(aggregation.project.map((scalar) => evaluate(scalar, at)));
  }
  return result;
}

function newGroup(keys: Row, { folds }: Aggregation): Group {
  const folders: Folder[] = [];
  for (const fold of folds) folders.push(folderOf(fold, folders));
  return { keys, folders };
}
