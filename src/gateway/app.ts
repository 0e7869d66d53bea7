import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { AtollError } from '../protocol/error.ts';
import { TRACE_HEADER, TRACE_REPLY_HEADER } from '../protocol/rpc.ts';
import { Call } from './call.ts';
import { failed } from './failed.ts';
import { Gateway, type GatewayOptions } from './gateway.ts';
import { splitPath } from './path.ts';
import { type Handler, ROUTES, type Route } from './routes.ts';

export type { GatewayOptions } from './gateway.ts';

/** The public API. Runs wherever there is fetch: in the Worker, and in agents. */
export function createGateway(options: GatewayOptions): Hono {
  const gateway = new Gateway(options);
  const app = new Hono({ getPath: (request) => splitPath(request.url).path });
  if (options.corsOrigins.length > 0) app.use(corsFor(options.corsOrigins));
  for (const [path, route] of Object.entries(ROUTES)) addRoute(app, gateway, path, route);
  app.notFound((c) => respond(gateway, 'unknown', noSuchRoute, c));
  return app;
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
    return respond(gateway, path, handlers.get(method) ?? refused, c);
  });
}

function noSuchRoute({ request }: Call): never {
  const { path } = splitPath(request.url);
  throw new AtollError('not-found', `there is no ${path}: the API begins at /v1/query`);
}

/** Whatever a handler does, the answer has the documented shape, its trace, and is counted. */
async function respond(gateway: Gateway, route: string, handler: Handler, c: Context): Promise<Response> {
  const call = new Call(gateway, c);
  let response: Response;
  try {
    response = await handler(call);
  } catch (error) {
    response = await failed(call, error);
  }
  gateway.metrics.answered(route, response.status, Date.now() - call.started);
  // What came from a partition cannot be changed.
  const answer = new Response(response.body, response);
  answer.headers.set(TRACE_REPLY_HEADER, call.trace);
  return answer;
}

function corsFor(origins: readonly string[]): ReturnType<typeof cors> {
  return cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'POST', 'DELETE'],
    allowHeaders: ['authorization', 'content-type', 'content-encoding', TRACE_HEADER],
    exposeHeaders: [TRACE_REPLY_HEADER, 'retry-after'],
    maxAge: 86_400,
  });
}
