import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { present } from '../base/assert.ts';
import { AtollError } from '../protocol/error.ts';
import { TRACE_HEADER, TRACE_REPLY_HEADER } from '../protocol/rpc.ts';
import { Call, type Execution, type Matched } from './call.ts';
import { failed } from './failed.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import { DEFAULT_DATABASE, pathOf, splitPath } from './path.ts';
import { type Handler, ROUTES, type Route } from './routes.ts';

export type { GatewayOptions } from './gateway.ts';

/** The public API as a function of requests. */
export interface PublicApi {
  /** `execution` lets work go on after the answer: a Worker must be told of it, Node need not. */
  fetch(request: Request, environment?: unknown, execution?: Execution): Response | Promise<Response>;
}

/** The public API. Runs wherever there is fetch: in the Worker, and in agents. */
export function createGateway(options: GatewayOptions): PublicApi {
  const gateway = new Gateway(options);
  const crossOrigin = options.corsOrigins.length > 0;
  const app = new Hono({ getPath: (request) => splitPath(request.url).path });
  if (crossOrigin) app.use(corsFor(options.corsOrigins));
  for (const [path, route] of Object.entries(ROUTES)) addRoute(app, gateway, path, route);
  app.notFound((c) => respond('unknown', noSuchRoute, new Call(gateway, c.req.raw, matchedBy(c))));
  if (crossOrigin) return app;
  return {
    fetch(request, environment, execution) {
      const { url } = request;
      const path = pathOf(url);
      const handler = DIRECT.get(path);
      if (handler === undefined || request.method !== 'POST')
        return app.fetch(request, environment as object, execution as HonoExecution);
      const matched = { url, database: DEFAULT_DATABASE, path, parameter: noParameter, execution };
      return respond(path, handler, new Call(gateway, request, matched));
    },
  };
}

/** Nearly all requests are these. Around Hono's router and context a routed read takes a tenth less of the router's time. */
const DIRECT: ReadonlyMap<string, Handler> = new Map(
  ['/v1/query', '/v1/batch'].map((path) => [path, present(ROUTES[path]?.POST, 'it is a route')]),
);

type HonoExecution = Parameters<Hono['fetch']>[2];

const noParameter = (): undefined => undefined;

function matchedBy(c: Context): Matched {
  const { url } = c.req;
  const parameter = (name: string) => c.req.param(name);
  return { url, ...splitPath(url), parameter, execution: executionOf(c) };
}

function executionOf(c: Context): Execution | undefined {
  try {
    return c.executionCtx;
  } catch {
    return undefined; // Hono's way to say that there is none.
  }
}

/** One handler for all methods: with several that match, Hono composes them for every request. */
function addRoute(app: Hono, gateway: Gateway, path: string, route: Route): void {
  const methods = Object.keys(route).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  const allow = methods.join(', ');
  const refused: Handler = ({ request }) => {
    throw new AtollError('method-not-allowed', `${path} takes ${allow}, not ${request.method}`, 'none', {
      allow,
    });
  };
  const handlers = new Map<string, Handler>(Object.entries(route));
  if (route.GET !== undefined) handlers.set('HEAD', route.GET);
  app.all(path, (c) => {
    const { method } = c.req;
    if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow } });
    return respond(path, handlers.get(method) ?? refused, new Call(gateway, c.req.raw, matchedBy(c)));
  });
}

function noSuchRoute({ path }: Call): never {
  throw new AtollError('not-found', `there is no ${path}: the API begins at /v1/query`);
}

/** Whatever a handler does, the answer has the documented shape, its trace, and is counted. */
async function respond(route: string, handler: Handler, call: Call): Promise<Response> {
  let response: Response;
  try {
    response = await handler(call);
  } catch (error) {
    response = await failed(call, error);
  }
  call.gateway.metrics.answered(route, response.status, Date.now() - call.started);
  // As the partition has answered: what it has sent is not looked at here.
  if (response.headers.get(TRACE_REPLY_HEADER) === call.trace) return response;
  // What came from elsewhere cannot be changed.
  const answer = new Response(response.body, response);
  answer.headers.set(TRACE_REPLY_HEADER, call.trace);
  return answer;
}

function corsFor(origins: readonly string[]): ReturnType<typeof cors> {
  return cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'POST', 'PUT', 'DELETE'],
    allowHeaders: ['authorization', 'content-type', 'content-encoding', TRACE_HEADER],
    exposeHeaders: [TRACE_REPLY_HEADER, 'retry-after'],
    maxAge: 86_400,
  });
}
