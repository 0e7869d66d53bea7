import type { AtollError } from '../../protocol/error.ts';
import type { StatementResult } from '../execution/run.ts';
import { fingerprint } from '../log/fingerprint.ts';
import { encodeUtf8 } from '../sqlite/utf8.ts';

/**
 * Stands for all that a client sees of a statement in one partition: columns, rows with their types, counts, ids. Two that
 * are equal by chance are no danger: 128 bits, and who asks for both is the one client that would be misled.
 */
export function fingerprintOfResult({
  columns,
  rows,
  rowsAffected,
  lastInsertRowid,
}: Pick<StatementResult, 'columns' | 'rows' | 'rowsAffected' | 'lastInsertRowid'>): string {
  return fingerprint(
    encodeUtf8(`${JSON.stringify(columns)} ${rows} ${rowsAffected} ${String(lastInsertRowid)}`),
  );
}

/** An error is an answer too. */
export function fingerprintOfError({ code, message, detail }: AtollError): string {
  return fingerprint(encodeUtf8(`error ${code} ${message} ${JSON.stringify(detail)}`));
}
