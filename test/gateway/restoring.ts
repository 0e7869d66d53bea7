import { type Reply, type TestCluster, TOKEN } from '../cluster/cluster.ts';

const AS_SQL = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/sql' };

/** `POST /v1/restore`. */
export function restore(
  cluster: TestCluster,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const streamed = body instanceof ReadableStream ? { duplex: 'half' as const } : {};
  return cluster.request('/v1/restore', {
    method: 'POST',
    headers: { ...AS_SQL, ...headers },
    body,
    ...streamed,
  });
}

/** The tables of a database that serves again. */
export async function tablesOf(cluster: TestCluster): Promise<string[]> {
  const { json } = await cluster.get('/v1/schema');
  return json.tables.map(({ name }: { name: string }) => name).sort();
}
