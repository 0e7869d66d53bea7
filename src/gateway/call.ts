import { parseJson } from '../protocol/json-text.ts';
import { FORWARDED_HEADER } from '../protocol/rpc.ts';
import type { Principal } from './auth/principal.ts';
import { readBody } from './body.ts';
import type { CallContext, Database } from './database.ts';
import type { Gateway } from './gateway.ts';
import { TIMEOUT_MS_DEFAULT } from './request.ts';
import type { Session, WayOut } from './statements.ts';
import { newTrace, traceOf } from './trace.ts';

/** What a Worker's `ExecutionContext` is used for. */
export interface Execution {
  waitUntil(work: Promise<unknown>): void;
}

/** What is known of a request when its route is. */
export interface Matched {
  readonly url: string;
  readonly database: string;
  /** Without the database's name in front. */
  readonly path: string;
  /** A segment of the path that its route names. */
  readonly parameter: (name: string) => string | undefined;
  readonly execution: Execution | undefined;
}

/** One request to the router. */
export class Call {
  readonly gateway: Gateway;
  readonly request: Request;
  /** Of the request: a Worker makes this object when it is first asked for it, and looks it up each time. */
  readonly headers: Headers;
  readonly trace: string;
  /** Unix milliseconds. */
  readonly started = Date.now();
  readonly #matched: Matched;
  #database: Database | null = null;

  constructor(gateway: Gateway, request: Request, matched: Matched) {
    this.gateway = gateway;
    this.#matched = matched;
    this.request = request;
    this.headers = request.headers;
    this.trace = traceOf(this.headers) ?? newTrace();
  }

  /** @throws AtollError `not-found` */
  get database(): Database {
    this.#database ??= this.gateway.database(this.#matched.database);
    return this.#database;
  }

  /** Without the database's name in front. */
  get path(): string {
    return this.#matched.path;
  }

  /** For a read that its partition cannot answer now: see Elsewhere. Null: there is no other way. */
  wayOut(body: string): WayOut | null {
    const { elsewhere } = this.gateway;
    if (elsewhere === null) return null;
    return (information, context) => {
      const { headers } = this;
      const { pathname } = new URL(this.#matched.url);
      const forwarded = headers.has(FORWARDED_HEADER);
      const request = { authorization: headers.get('authorization'), path: pathname, body, forwarded };
      return elsewhere.ask(information, request, context);
    };
  }

  /** A segment of the path that its route names. */
  parameter(name: string): string {
    return this.#matched.parameter(name) ?? '';
  }

  /** A field of the query string. */
  option(name: string): string | undefined {
    return new URL(this.#matched.url).searchParams.get(name) ?? undefined;
  }

  context(timeoutMs = TIMEOUT_MS_DEFAULT): CallContext {
    return { deadline: this.started + timeoutMs, trace: this.trace, background: this.#background };
  }

  /** Who calls. Looked at before the body is, so that nobody unknown makes the router parse. */
  principal(): Principal | Promise<Principal> {
    const { database } = this;
    const known = database.network(this.context());
    return known instanceof Promise ? known.then(() => this.verify(database)) : this.verify(database);
  }

  /** {@link principal} by what the router knows already: asks nobody. */
  verify(database: Database): Principal | Promise<Principal> {
    return database.verify(this.headers.get('authorization'), this.context());
  }

  async session(): Promise<Session> {
    return { database: this.database, principal: await this.principal(), context: this.context() };
  }

  async json(): Promise<unknown> {
    return parseJson(await readBody(this.request, this.headers));
  }

  /** Work that goes on when the request is answered. */
  readonly #background = (work: Promise<void>): void => this.#matched.execution?.waitUntil(work);
}
