import type { Vote } from '../../protocol/transaction.ts';
import { type Escape, encodeEscapes } from './escapes.ts';

/** What a vote, or the answer to a statement of an interactive transaction, says to be left to do. */
export function open(
  escaped: readonly Escape[],
  violated: boolean,
): Pick<Vote & { vote: 'yes' }, 'escapes' | 'violated'> {
  return { ...(escaped.length > 0 && { escapes: encodeEscapes(escaped) }), ...(violated && { violated }) };
}
