import { DEADLINE_HEADER } from '../protocol/rpc.ts';

/** What is left of a request's time when waiting for it ends, so that the answer still arrives, ms (chosen). */
export const REPLY_MS = 50;

/** When the work for a request must be over, Unix ms. */
export function deadlineOf(incoming: Request): number {
  return Number(incoming.headers.get(DEADLINE_HEADER)) - REPLY_MS;
}
