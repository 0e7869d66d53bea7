import type { HostInfo, NetworkInformation } from '../protocol/network.ts';
import { FORWARDED_HEADER, TRACE_HEADER } from '../protocol/rpc.ts';
import type { CallContext } from './database.ts';

/** A client's request as it can be sent once more. */
export interface ForwardableRequest {
  readonly authorization: string | null;
  /** After the host's base URL. */
  readonly path: string;
  /** JSON text. */
  readonly body: string;
  /** Whether a router has sent it here already: it goes no further. */
  readonly forwarded: boolean;
}

/** Agents that one request is sent to (chosen: the client waits). */
const ATTEMPTS_MAX = 3;
/** An agent that has failed is the last one to be asked for so long, ms (chosen). */
const FAILED_MS = 30_000;

/** What is known of an agent by its answers to this router. */
interface Experience {
  /** Time until its last answer began, ms. */
  readonly milliseconds: number;
  /** Unix ms; 0: it answered. */
  readonly failedAt: number;
}

/** The way out for reads when their object cannot be reached: an agent's own API, which answers from its replicas. */
export class Elsewhere {
  readonly #fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly #experience = new Map<string, Experience>();

  constructor(send: (url: string, init: RequestInit) => Promise<Response>) {
    this.#fetch = send;
  }

  /**
   * What the closest agent answers that can; null if none did. Only for what may be asked of several hosts: reads that
   * need not be strong.
   */
  async ask(
    { hosts }: Pick<NetworkInformation, 'hosts'>,
    request: ForwardableRequest,
    context: CallContext,
  ): Promise<Response | null> {
    if (request.forwarded) return null;
    for (const [index, { host, addresses = [] }] of this.#ranked(hosts).entries()) {
      const left = context.deadline - Date.now();
      if (index === ATTEMPTS_MAX || left <= 0) return null;
      const answer = await this.#tryOne(host, addresses[0] ?? '', request, context.trace, left / 2);
      if (answer !== null) return answer;
    }
    return null;
  }

  async #tryOne(
    host: string,
    address: string,
    { authorization, path, body }: ForwardableRequest,
    trace: string,
    patienceMs: number,
  ): Promise<Response | null> {
    const startedAt = Date.now();
    const headers = {
      'content-type': 'application/json',
      [TRACE_HEADER]: trace,
      [FORWARDED_HEADER]: '1',
      ...(authorization !== null && { authorization }),
    };
    const impatient = new AbortController();
    const { signal } = impatient;
    const timer = setTimeout(() => impatient.abort(new Error('no answer in time')), patienceMs);
    let why: unknown;
    try {
      const url = address.replace(/\/+$/, '') + path;
      const response = await this.#fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
      if (isAnswer(response.status)) {
        this.#experience.set(host, { milliseconds: Date.now() - startedAt, failedAt: 0 });
        return passedOn(response);
      }
      why = response.status;
      await response.body?.cancel();
    } catch (error) {
      why = error;
    } finally {
      // An answer that has begun may take as long as it takes.
      clearTimeout(timer);
    }
    console.warn(`read not answered by host ${host}: ${String(why)}`);
    this.#experience.set(host, { milliseconds: Date.now() - startedAt, failedAt: Date.now() });
    return null;
  }

  /** Those with an address, the quickest first; one that was never asked before those, so that it is known once. */
  #ranked(hosts: readonly HostInfo[]): readonly HostInfo[] {
    const now = Date.now();
    return hosts
      .filter(({ kind, status }) => kind === 'agent' && (status === 'read' || status === 'write'))
      .filter(({ addresses = [] }) => addresses.length > 0)
      .map((info) => {
        const { milliseconds = -1, failedAt = 0 } = this.#experience.get(info.host) ?? {};
        const failed = now - failedAt < FAILED_MS ? 1 : 0;
        return { info, failed, milliseconds, replicas: info.replicas?.length ?? 0 };
      })
      .sort((a, b) => a.failed - b.failed || a.milliseconds - b.milliseconds || b.replicas - a.replicas || 0)
      .map(({ info }) => info);
  }
}

/** Whether the request has been judged. Who is busy, does not know the client's token, or fails, has not. */
function isAnswer(status: number): boolean {
  if (status >= 200 && status < 300) return true;
  return status >= 400 && status < 500 && !NOT_JUDGED.has(status);
}

const NOT_JUDGED: ReadonlySet<number> = new Set([401, 403, 404, 405, 408, 429]);

/** Without headers that belong to the connection it came by. */
function passedOn({ status, body, headers }: Response): Response {
  const kept = new Headers({ 'content-type': headers.get('content-type') ?? 'application/json' });
  return new Response(body, { status, headers: kept });
}
