import * as v from 'valibot';
import { AtollError, encodeError, isErrorCode } from '../protocol/error.ts';
import { ErrorHead } from '../protocol/link.ts';

/** Head of the reply to a call that failed: as the public API shows errors. */
export function errorHead(error: AtollError): unknown {
  return JSON.parse(encodeError(error).body);
}

/** The error that the other host has answered; a code of a later version is `internal`, with its outcome kept. */
export function readErrorHead(head: unknown): AtollError {
  const read = v.safeParse(ErrorHead, head);
  if (!read.success)
    return new AtollError('internal', 'an error came back that is not of the documented shape');
  const { code, message, outcome, detail } = read.output.error;
  if (isErrorCode(code)) return new AtollError(code, message, outcome, detail);
  return new AtollError(
    'internal',
    `${message} (error ${code}, which this version does not know)`,
    outcome,
    detail,
  );
}
