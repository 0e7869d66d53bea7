import { present } from '../../base/assert.ts';
import { AtollError } from '../../protocol/error.ts';
import type { StatementGroup, TransactionPart } from '../../protocol/transaction.ts';
import type { StatementResult } from '../execution/run.ts';
import { fingerprintOfResult } from '../transaction/answer-fingerprint.ts';
import { overtaken } from './overtaken.ts';

/**
 * What is answered of a part: a result for each of its groups, or, without groups, for each of its statements.
 *
 * @throws AtollError `conflict` if a read that was made before is answered otherwise by now; nothing may be done then
 */
export function inGroups(
  { groups }: Pick<TransactionPart, 'groups'>,
  results: readonly StatementResult[],
): readonly StatementResult[] {
  if (groups === undefined) return results;
  const counted = groups.reduce((sum, { count }) => sum + count, 0);
  if (counted !== results.length)
    throw new AtollError('bad-request', `groups of ${counted} statements, and ${results.length} of them`);
  let next = 0;
  return groups.map((group) => {
    const own = results.slice(next, next + group.count);
    next += group.count;
    return asOne(group, own);
  });
}

function asOne({ expects }: StatementGroup, results: readonly StatementResult[]): StatementResult {
  if (expects !== undefined) {
    const read = present(results[0], 'a group that expects an answer has a statement');
    if (fingerprintOfResult(read) !== expects) throw overtaken();
  }
  const answering = expects === undefined ? results : results.slice(1);
  const last = answering.at(-1);
  if (last === undefined)
    return { columns: [], rows: '[]', rowCount: 0, rowsAffected: 0, lastInsertRowid: null };
  return {
    columns: last.columns,
    rows: `[${answering.flatMap(({ rows }) => (rows === '[]' ? [] : [rows.slice(1, -1)])).join()}]`,
    rowCount: answering.reduce((sum, each) => sum + each.rowCount, 0),
    rowsAffected: answering.reduce((sum, each) => sum + each.rowsAffected, 0),
    lastInsertRowid: answering.findLast((each) => each.lastInsertRowid !== null)?.lastInsertRowid ?? null,
  };
}
