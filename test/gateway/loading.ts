import { type Reply, type TestCluster, TOKEN } from '../cluster/cluster.ts';

export type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

export const PEOPLE =
  'CREATE TABLE people (id INTEGER PRIMARY KEY, town TEXT, name TEXT NOT NULL, age INTEGER CHECK (age < 200)) PARTITION BY (town)';

export const AS_NDJSON = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-ndjson' };

/** `POST /v1/import/{table}`, NDJSON unless the headers say otherwise. */
export function importInto(
  cluster: TestCluster,
  table: string,
  body: Body,
  query = '',
  headers: Record<string, string> = {},
): Promise<Reply> {
  const streamed = body instanceof ReadableStream ? { duplex: 'half' as const } : {};
  const path = `/v1/import/${table}${query}`;
  return cluster.request(path, { method: 'POST', headers: { ...AS_NDJSON, ...headers }, body, ...streamed });
}

export const lines = (count: number, row: (line: number) => unknown): string =>
  Array.from({ length: count }, (_, index) => `${JSON.stringify(row(index + 1))}\n`).join('');

/** Rows of `people` over 50 towns; tests tell theirs apart by the prefix of their towns. */
export const people = (prefix: string, count: number): string =>
  lines(count, (line) => ({ town: `${prefix}${line % 50}`, name: `person ${line}`, age: line % 100 }));

export async function countOf(cluster: TestCluster, prefix: string): Promise<unknown> {
  return (await cluster.rows(`SELECT count(*) FROM people WHERE town LIKE '${prefix}%'`))[0]?.[0];
}
