import { AtollError, type Client, type QueryResult, type ScriptStatement } from '../client/index.ts';
import type { Answer } from './answer.ts';

/** Bytes of a page (chosen: few requests, and little in memory). */
const PAGE_BYTES = 4 * 1024 * 1024;

/** The answer of a request of a script, one of several statements, which change the schema, without rows. */
export async function* answersOf(
  client: Client,
  statements: readonly ScriptStatement[],
): AsyncGenerator<Answer, void, undefined> {
  const [first, ...more] = statements;
  if (first === undefined) return;
  if (more.length === 0) return yield* queryPages(client, first.sql);
  try {
    yield await changeSchema(client, statements);
  } catch (error) {
    // It is built over the rows in the background, and has a batch to itself.
    const last = statements.findLastIndex(({ sql }) => /^PRAGMA\b/i.test(sql));
    if (!(error instanceof AtollError) || error.detail.alone === undefined || last < 0) throw error;
    let answer = await changeSchema(client, statements.slice(0, last + 1));
    for (const { sql } of statements.slice(last + 1)) answer = await client.query(sql);
    yield answer;
  }
}

async function changeSchema(client: Client, statements: readonly ScriptStatement[]): Promise<Answer> {
  const { plan } = await client.batch(statements.map(({ sql }) => sql));
  return { columns: [], rows: [], rowsAffected: 0, cursor: undefined, plan };
}

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
