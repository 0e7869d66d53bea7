import { AtollError } from '../protocol/error.ts';
import { parseJson } from '../protocol/json-text.ts';
import { authorize, authorizeCluster, type Principal } from './auth/principal.ts';
import { readBody } from './body.ts';
import type { Call } from './call.ts';
import { foundCluster } from './cluster.ts';
import { exportDatabase } from './export/export.ts';
import { decideHost, listHosts } from './hosts.ts';
import { importRows } from './import/import.ts';
import { beginInteractive } from './interactive/begin.ts';
import { commitInteractive, rollbackInteractive } from './interactive/end.ts';
import { queryInteractive } from './interactive/query.ts';
import { partitionMetrics } from './metrics/partition-metrics.ts';
import { networkView } from './network-view.ts';
import { type ClientRequest, readBatch, readQuery } from './request.ts';
import { restoreDatabase } from './restore/restore.ts';
import { schemaView } from './schema-view.ts';
import { changeSettings, readSettings } from './settings.ts';
import { logIfSlow } from './slow.ts';
import { runStatements } from './statements.ts';
import { createToken, listTokens, revokeToken } from './tokens.ts';

export type Handler = (call: Call) => Promise<Response> | Response;

/** Handlers by method. A method that is not here is answered with 405. */
export type Route = Readonly<Partial<Record<'GET' | 'POST' | 'PUT' | 'DELETE', Handler>>>;

/** The public API by path: docs/api.md. */
export const ROUTES: Readonly<Record<string, Route>> = {
  '/healthz': { GET: () => Response.json({ ok: true }) },
  '/metrics': { GET: metrics },
  '/v1/query': { POST: (call) => statements(call, readQuery) },
  '/v1/batch': { POST: (call) => statements(call, readBatch) },
  '/v1/import/:table': {
    POST: async (call) => importRows(await call.session(), call.parameter('table'), call.request),
  },
  '/v1/restore': { POST: async (call) => restoreDatabase(await call.session(), call.request) },
  '/v1/export': { GET: async (call) => exportDatabase(await call.session(), call.request) },
  '/v1/network': { GET: network },
  '/v1/schema': { GET: schema },
  '/v1/hosts': { GET: hosts },
  '/v1/hosts/:id/:action': { POST: hostAction },
  '/v1/settings': { GET: settings, PUT: newSettings },
  '/v1/init': { POST: init },
  '/v1/tokens': { GET: tokens, POST: newToken },
  '/v1/tokens/:id': { DELETE: endToken },
  '/v1/databases': { POST: () => later('databases besides main') },
  '/v1/databases/:name': { DELETE: () => later('databases besides main') },
  '/v1/transactions': { POST: beginInteractive },
  '/v1/transactions/:id/query': { POST: queryInteractive },
  '/v1/transactions/:id/commit': { POST: commitInteractive },
  '/v1/transactions/:id/rollback': { POST: rollbackInteractive },
  '/v1/changes': { GET: () => later('the change feed') },
  '/v1/live': { GET: () => later('live queries') },
  '/v2': { GET: hrana },
  '/v2/pipeline': { POST: hrana },
  '/v3': { GET: hrana },
  '/v3/pipeline': { POST: hrana },
  '/v3/cursor': { POST: hrana },
};

function later(what: string, instead = 'it is documented, and comes with a later version'): never {
  throw new AtollError('unsupported', `not there yet: ${what}; ${instead}`);
}

/** Not for `/v3-protobuf`, whose 404 tells a libSQL client to try `/v3`. */
function hrana(): never {
  return later('the libSQL protocol (Hrana)', 'use /v1/query and /v1/batch');
}

async function statements(call: Call, read: (body: unknown) => ClientRequest): Promise<Response> {
  const who = call.principal();
  // Nearly always known at once: each await costs a turn of the queue.
  const principal = who instanceof Promise ? await who : who;
  const body = await readBody(call.request, call.headers);
  const client = read(parseJson(body));
  const session = { database: call.database, principal, context: call.context(client.timeoutMs) };
  try {
    return await runStatements(session, client, call.wayOut(body));
  } finally {
    logIfSlow(call, client);
  }
}

async function init(call: Call): Promise<Response> {
  const { database } = call;
  // A cluster that is there knows the tokens it has signed; before, there is the static one only.
  await Promise.resolve(database.network(call.context())).catch((error: unknown) => {
    if (!(error instanceof AtollError && error.code === 'not-found')) throw error;
  });
  authorizeCluster(await call.verify(database));
  await foundCluster(database, await call.json(), call.context());
  return Response.json(await networkView(database, call.context(), false));
}

/** `?wake=no`: what the router knows, without asking the partitions. */
async function network(call: Call): Promise<Response> {
  const { database, principal, context } = await call.session();
  authorize(principal, database.name, 'read');
  return Response.json(await networkView(database, context, wakes(call, 'yes')));
}

async function schema(call: Call): Promise<Response> {
  const { database, principal, context } = await call.session();
  authorize(principal, database.name, 'read');
  return Response.json(await schemaView(database, context));
}

async function settings(call: Call): Promise<Response> {
  const session = await call.session();
  authorize(session.principal, session.database.name, 'read');
  return Response.json(await readSettings(session));
}

async function newSettings(call: Call): Promise<Response> {
  const session = await call.session();
  authorize(session.principal, session.database.name, 'admin');
  return Response.json(await changeSettings(session, await call.json()));
}

async function hosts(call: Call): Promise<Response> {
  const session = await call.session();
  authorize(session.principal, session.database.name, 'read');
  return Response.json(await listHosts(session));
}

async function hostAction(call: Call): Promise<Response> {
  const session = await call.session();
  authorizeCluster(session.principal);
  return Response.json(await decideHost(session, call.parameter('id'), call.parameter('action')));
}

async function tokens(call: Call): Promise<Response> {
  const session = await call.session();
  authorizeCluster(session.principal);
  return Response.json(await listTokens(session));
}

async function newToken(call: Call): Promise<Response> {
  const session = await call.session();
  authorizeCluster(session.principal);
  return Response.json(await createToken(session, await call.json()));
}

async function endToken(call: Call): Promise<Response> {
  const session = await call.session();
  authorizeCluster(session.principal);
  return Response.json(await revokeToken(session, call.parameter('id')));
}

/**
 * With the static token it asks nobody; with another one, only a router that has just started asks for the key. `?wake=yes`
 * adds what only the partitions know.
 */
async function metrics(call: Call): Promise<Response> {
  const principal = await staticOrSigned(call);
  authorize(principal, call.database.name, 'read');
  const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };
  const more = wakes(call, 'no') ? await partitionMetrics(call.database, call.context()) : '';
  return new Response(call.gateway.metricsText() + more, { headers });
}

async function staticOrSigned(call: Call): Promise<Principal> {
  try {
    return await call.verify(call.database);
  } catch {
    return call.principal();
  }
}

function wakes(call: Call, otherwise: 'yes' | 'no'): boolean {
  const wake = call.option('wake') ?? otherwise;
  if (wake !== 'yes' && wake !== 'no') throw new AtollError('bad-request', 'wake must be yes or no');
  return wake === 'yes';
}
