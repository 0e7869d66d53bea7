import { assert } from '../../base/assert.ts';

/** Replace `start … end` of the source by `text`; an insertion when they are equal. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The source with all edits made. Offsets are those of the unedited source, in any order. Edits must not overlap;
 * insertions at one place come out in the order given, and before a replacement that starts there.
 */
export function splice(source: string, edits: readonly Edit[]): string {
  if (edits.length === 0) return source;
  const sorted = edits
    .map((edit, order) => ({ edit, order }))
    .sort((a, b) => a.edit.start - b.edit.start || a.edit.end - b.edit.end || a.order - b.order);
  let result = '';
  let at = 0;
  for (const { edit } of sorted) {
    const { start, end, text } = edit;
    assert(
      start >= at && end >= start && end <= source.length,
      () => `edit ${start}…${end} overlaps or is outside`,
    );
    result += source.slice(at, start) + text;
    at = end;
  }
  return result + source.slice(at);
}
