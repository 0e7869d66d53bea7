import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { AtollError, encodeError, toAtollError } from '../protocol/error.ts';
import { parseJson } from '../protocol/json-text.ts';
import { authorize, authorizeCluster } from './auth/principal.ts';
import { readBody } from './body.ts';
import { foundCluster } from './cluster.ts';
import { type CallContext, Database } from './database.ts';
import { exportDatabase } from './export/export.ts';
import { importRows } from './import/import.ts';
import { networkView, schemaView } from './network-view.ts';
import { type ClientRequest, readBatch, readQuery, TIMEOUT_MS_DEFAULT } from './request.ts';
import { runStatements, type Session } from './statements.ts';
import { createToken, listTokens, revokeToken } from './tokens.ts';
import { newTrace, traceOf } from './trace.ts';
import type { PartitionTransport } from './transport.ts';

export interface GatewayOptions {
  readonly transport: PartitionTransport;
  readonly staticToken: string | null;
  /** Origins that browsers may call from; `*` is any. */
  readonly corsOrigins: readonly string[];
}

/** A request slower than this is written to the log, ms (chosen). */
const SLOW_MS = 500;

interface Variables {
  readonly trace: string;
  readonly database: Database;
}

type App = Hono<{ Variables: Variables }>;

/** The public API. Runs wherever there is fetch: in the Worker, and in agents. */
export function createGateway(options: GatewayOptions): App {
  const databases = new Map<string, Database>();
  const databaseNamed = (name: string): Database => {
    let database = databases.get(name);
    if (database === undefined) {
      database = new Database(name, options.transport, options.staticToken);
      databases.set(name, database);
    }
    return database;
  };
  const app: App = new Hono();
  if (options.corsOrigins.length > 0) {
    app.use(
      cors({
        origin: [...options.corsOrigins],
        allowHeaders: ['authorization', 'content-type', 'traceparent'],
        maxAge: 86_400,
      }),
    );
  }
  app.onError((error) => failed(error));
  app.notFound(() => failed(new AtollError('not-found', 'no such route: see the API in the README')));
  app.get('/healthz', (c) => c.json({ ok: true }));

  app.post('/v1/query', (c) => statements(c.req.raw, databaseNamed('main'), readQuery, backgroundOf(c)));
  app.post('/v1/batch', (c) => statements(c.req.raw, databaseNamed('main'), readBatch, backgroundOf(c)));
  app.post('/v1/init', async (c) => {
    const database = databaseNamed('main');
    authorizeCluster(await database.verifier.verify(header(c.req.raw), Date.now()));
    return Response.json(
      networkView(await foundCluster(database, await json(c.req.raw), contextOf(c.req.raw))),
    );
  });
  app.get('/v1/network', async (c) => {
    const session = await open(c.req.raw, databaseNamed('main'), TIMEOUT_MS_DEFAULT);
    authorize(session.principal, session.database.name, 'read');
    return Response.json(networkView(await session.database.refresh(session.context)));
  });
  app.get('/v1/schema', async (c) => {
    const session = await open(c.req.raw, databaseNamed('main'), TIMEOUT_MS_DEFAULT);
    authorize(session.principal, session.database.name, 'read');
    return Response.json(await schemaView(session.database, session.context));
  });
  app.post('/v1/import/:table', async (c) => {
    const session = await open(c.req.raw, databaseNamed('main'), TIMEOUT_MS_DEFAULT);
    return importRows(session, c.req.param('table'), c.req.raw);
  });
  app.get('/v1/export', async (c) =>
    exportDatabase(await open(c.req.raw, databaseNamed('main'), TIMEOUT_MS_DEFAULT), c.req.raw),
  );
  app.post('/v1/tokens', async (c) => {
    const session = await open(c.req.raw, databaseNamed('main'), TIMEOUT_MS_DEFAULT);
    authorizeCluster(session.principal);
    return Response.json(await createToken(session, await json(c.req.raw)));
  });
  app.get('/v1/tokens', async (c) => {
    const session = await open(c.req.raw, databaseNamed('main'), TIMEOUT_MS_DEFAULT);
    authorizeCluster(session.principal);
    return Response.json(await listTokens(session));
  });
  app.delete('/v1/tokens/:id', async (c) => {
    const session = await open(c.req.raw, databaseNamed('main'), TIMEOUT_MS_DEFAULT);
    authorizeCluster(session.principal);
    return Response.json(await revokeToken(session, c.req.param('id')));
  });
  return app;
}

type Background = (work: Promise<void>) => void;

function backgroundOf(c: Context): Background {
  return (work) => c.executionCtx.waitUntil(work);
}

async function statements(
  request: Request,
  database: Database,
  read: (body: unknown) => ClientRequest,
  background: Background,
): Promise<Response> {
  const started = Date.now();
  const trace = traceOf(request) ?? newTrace();
  // The token is looked at before the body, so that nobody unknown makes the router parse.
  const principal = await verify(request, database, { ...contextOf(request, trace), background });
  const client = read(parseJson(await readBody(request)));
  const session: Session = {
    database,
    principal,
    context: { deadline: started + client.timeoutMs, trace },
  };
  const response = await runStatements(session, client);
  const took = Date.now() - started;
  if (took >= SLOW_MS) {
    console.warn(
      JSON.stringify({
        event: 'slow-statement',
        ms: took,
        trace,
        sql: client.statements.map(({ sql }) => sql.slice(0, 500)),
      }),
    );
  }
  return response;
}

function header(request: Request): string | null {
  return request.headers.get('authorization');
}

async function verify(
  request: Request,
  database: Database,
  context: CallContext,
): ReturnType<Database['verifier']['verify']> {
  await database.network(context);
  return database.verifier.verify(header(request), Date.now());
}

async function open(request: Request, database: Database, timeoutMs: number): Promise<Session> {
  const context = contextOf(request, undefined, timeoutMs);
  return { database, context, principal: await verify(request, database, context) };
}

function contextOf(
  request: Request,
  trace = traceOf(request) ?? newTrace(),
  timeoutMs = TIMEOUT_MS_DEFAULT,
): CallContext {
  return { deadline: Date.now() + timeoutMs, trace };
}

async function json(request: Request): Promise<unknown> {
  return parseJson(await readBody(request));
}

/** Every error leaves in the documented shape. A defect is logged with its cause, which the client does not see. */
function failed(error: unknown): Response {
  const shown = toAtollError(error);
  if (!(error instanceof AtollError)) console.error('gateway: defect', error);
  const { status, body, retryAfterSeconds } = encodeError(shown);
  const headers = new Headers({ 'content-type': 'application/json' });
  if (retryAfterSeconds !== null) headers.set('retry-after', String(retryAfterSeconds));
  return new Response(body, { status, headers });
}
