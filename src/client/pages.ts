import type { QueryOptions } from './client.ts';
import type { QueryResult } from './result.ts';

export interface PageOptions extends Omit<QueryOptions, 'atomicity' | 'idempotencyKey'> {
  /** About how large a page is, bytes: 1,024 to 8,388,608. Default 1,048,576. */
  readonly pageBytes?: number;
}

export const PAGE_BYTES_DEFAULT = 1024 * 1024;

/** The next page is asked for when the one before has been taken. */
export async function* pagesFrom(
  first: () => Promise<QueryResult>,
  after: (cursor: string) => Promise<QueryResult>,
): AsyncGenerator<QueryResult, void, undefined> {
  for (let page = await first(); ; page = await after(page.cursor)) {
    yield page;
    if (page.cursor === undefined) return;
  }
}
