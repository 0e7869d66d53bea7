import { AtollError, type Client, type QueryResult } from '../client/index.ts';

/** Bytes of a page (chosen: few requests, and little in memory). */
const PAGE_BYTES = 4 * 1024 * 1024;

/** A statement's answer; in pages if it is too large to come at once, and can. */
export async function* queryPages(client: Client, sql: string): AsyncGenerator<QueryResult, void, undefined> {
  let tooLarge: AtollError;
  try {
    return yield await client.query(sql);
  } catch (error) {
    if (!(error instanceof AtollError) || error.code !== 'result-too-large') throw error;
    tooLarge = error;
  }
  try {
    yield* client.pages(sql, [], { pageBytes: PAGE_BYTES });
  } catch (error) {
    // Of a write, which has no pages.
    throw error instanceof AtollError && error.code === 'bad-request' ? tooLarge : error;
  }
}
