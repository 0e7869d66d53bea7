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
    const indexes = lastIndexes(statements);
    if (!(error instanceof AtollError) || error.detail.alone === undefined || indexes.length === 0)
      throw error;
    let answer = await changeSchema(
      client,
      statements.filter((each) => !indexes.includes(each)),
    );
    for (const { sql } of indexes) answer = await client.query(sql);
    yield answer;
  }
}

/** Those that are created when all else is done, before or after foreign keys are switched on again. */
function lastIndexes(statements: readonly ScriptStatement[]): readonly ScriptStatement[] {
  const isIndex = ({ sql }: ScriptStatement) => /^CREATE\s+(UNIQUE\s+)?INDEX\b/i.test(sql);
  const other = statements.findLastIndex((each) => !isIndex(each) && !/^PRAGMA\b/i.test(each.sql));
  return statements.slice(other + 1).filter(isIndex);
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
