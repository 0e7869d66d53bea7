import type { Context } from 'hono';
import { parseJson } from '../protocol/json-text.ts';
import { FORWARDED_HEADER } from '../protocol/rpc.ts';
import type { Principal } from './auth/principal.ts';
import { readBody } from './body.ts';
import type { CallContext, Database } from './database.ts';
import type { Gateway } from './gateway.ts';
import { splitPath } from './path.ts';
import { TIMEOUT_MS_DEFAULT } from './request.ts';
import type { Session, WayOut } from './statements.ts';
import { newTrace, traceOf } from './trace.ts';

/** One request to the router. */
export class Call {
  readonly gateway: Gateway;
  readonly request: Request;
  readonly trace: string;
  /** Unix milliseconds. */
  readonly started = Date.now();
  readonly #hono: Context;
  #database: Database | null = null;

  constructor(gateway: Gateway, hono: Context) {
    this.gateway = gateway;
    this.#hono = hono;
    this.request = hono.req.raw;
    this.trace = traceOf(this.request) ?? newTrace();
  }

  /** @throws AtollError `not-found` */
  get database(): Database {
    this.#database ??= this.gateway.database(splitPath(this.request.url).database);
    return this.#database;
  }

  /** For a read that its partition cannot answer now: see Elsewhere. Null: there is no other way. */
  wayOut(body: string): WayOut | null {
    const { elsewhere } = this.gateway;
    const { headers, url } = this.request;
    if (elsewhere === null) return null;
    return (information, context) => {
      const { pathname } = new URL(url);
      const forwarded = headers.has(FORWARDED_HEADER);
      const request = { authorization: headers.get('authorization'), path: pathname, body, forwarded };
      return elsewhere.ask(information, request, context);
    };
  }

  /** A segment of the path that its route names. */
  parameter(name: string): string {
    return this.#hono.req.param(name) ?? '';
  }

  /** A field of the query string. */
  option(name: string): string | undefined {
    return this.#hono.req.query(name);
  }

  context(timeoutMs = TIMEOUT_MS_DEFAULT): CallContext {
    return { deadline: this.started + timeoutMs, trace: this.trace, background: this.#background };
  }

  /** Who calls. Looked at before the body is, so that nobody unknown makes the router parse. */
  async principal(): Promise<Principal> {
    const { database } = this;
    const known = database.network(this.context());
    if (known instanceof Promise) await known;
    return this.verify(database);
  }

  /** {@link principal} by what the router knows already: asks nobody. */
  verify(database: Database): Promise<Principal> {
    return database.verify(this.request.headers.get('authorization'), this.context());
  }

  async session(): Promise<Session> {
    return { database: this.database, principal: await this.principal(), context: this.context() };
  }

  async json(): Promise<unknown> {
    return parseJson(await readBody(this.request));
  }

  /** Work that goes on when the request is answered: a Worker must be told of it, Node need not. */
  readonly #background = (work: Promise<void>): void => {
    let execution: Context['executionCtx'] | null = null;
    try {
      execution = this.#hono.executionCtx;
    } catch {
      return; // Hono's way to say that there is none.
    }
    execution.waitUntil(work);
  };
}
