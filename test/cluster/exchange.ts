import { request } from 'node:http';

/** Not `fetch`, which sends once more what was answered with 421 (https://fetch.spec.whatwg.org/#http-network-or-cache-fetch). */
export function exchange(
  url: string,
  headers: Record<string, string>,
  body: string | Uint8Array,
  signal?: AbortSignal,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', headers, ...(signal && { signal }) }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('end', () => resolve(new Response(Buffer.concat(chunks), { status: reply.statusCode ?? 0 })));
      reply.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
