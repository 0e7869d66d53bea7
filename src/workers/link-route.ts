import type { PartitionId } from '../base/brand.ts';
import { RPC_HEADER, RPC_VERSION } from '../protocol/rpc.ts';
import { partitionObjectName } from './transport.ts';

/** `/v1/link/{partition}`, after `/{database}` for another database than `main`. */
const LINK = /^(?:\/([^/]+))?\/v1\/link\/(\d{1,6})\/?$/;

/**
 * Hands the opening of a link over to the object that it asks for, which keeps the socket; null for any other
 * request. The object finds out who calls: see docs/protocol.md, Handshake.
 */
export function openLink(request: Request, namespace: DurableObjectNamespace): Promise<Response> | null {
  // Every request comes by here: the URL alone tells nearly all of them apart.
  if (!request.url.includes('/v1/link/')) return null;
  if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') return null;
  const match = LINK.exec(new URL(request.url).pathname);
  if (match === null) return null;
  const name = partitionObjectName(match[1] ?? 'main', Number(match[2]) as PartitionId);
  const headers = new Headers({ upgrade: 'websocket', [RPC_HEADER]: String(RPC_VERSION) });
  return namespace.get(namespace.idFromName(name)).fetch('http://partition/link', { headers });
}
