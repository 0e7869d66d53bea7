import { TOKEN } from './processes.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape.
export type Json = any;

/** What a client knows of a request: docs/protocol.md, "Errors". */
export type Outcome =
  | { readonly kind: 'ok'; readonly json: Json }
  | { readonly kind: 'none' | 'unknown'; readonly code: string; readonly message: string };

/** A client gives up only after the server should have, ms. */
const PATIENCE_MS = 5_000;

/** `POST /v1/query`, or `GET` without a body. Never throws: a lost answer is `unknown`, a refused connection `none`. */
export async function ask(url: string, path: string, body?: Json, timeoutMs = 10_000): Promise<Outcome> {
  let status: number;
  let json: Json;
  try {
    const reply = await fetch(url + path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(timeoutMs + PATIENCE_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    status = reply.status;
    json = await reply.json();
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? (error as Error).name;
    return { kind: code === 'ECONNREFUSED' ? 'none' : 'unknown', code, message: String(error) };
  }
  if (status === 200) return { kind: 'ok', json };
  const { code = `http-${status}`, message = '', outcome } = json?.error ?? {};
  return { kind: outcome === 'none' ? 'none' : 'unknown', code, message };
}

/** One statement. */
export function query(
  url: string,
  sql: string,
  args: readonly Json[] = [],
  more: Json = {},
): Promise<Outcome> {
  const timeoutMs = more.timeoutMs ?? 10_000;
  return ask(url, '/v1/query', { sql, args, timeoutMs, ...more }, timeoutMs);
}

/** The same where nothing but success will do. */
export async function rows(
  url: string,
  sql: string,
  args: readonly Json[] = [],
  more: Json = {},
): Promise<Json[][]> {
  const outcome = await query(url, sql, args, more);
  if (outcome.kind !== 'ok') throw new Error(`${sql}: ${outcome.code} ${outcome.message}`);
  return outcome.json.rows;
}

export async function get(url: string, path: string): Promise<Json> {
  const outcome = await ask(url, path);
  if (outcome.kind !== 'ok') throw new Error(`${path}: ${outcome.code} ${outcome.message}`);
  return outcome.json;
}

/** `/metrics` as text. */
export async function metrics(url: string): Promise<string> {
  const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
  return reply.text();
}
