import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { PartitionId } from '../../base/brand.ts';
import { DEFAULT_DATABASE } from '../../gateway/path.ts';
import { FRAME_BYTES_MAX } from '../../protocol/frame.ts';
import { LINK_PATH } from '../../protocol/link.ts';
import { type ClockSkew, clockSkew } from '../../rpc/clock-skew.ts';
import { type Dialled, type Dialler, dialChallenge, dialHello, dialWelcome } from '../../rpc/dial.ts';
import { HANDSHAKE_MS_MAX } from '../../rpc/handshake.ts';
import type { LinkHandlers } from '../../rpc/link.ts';
import type { LogEvent } from '../log.ts';
import { HandshakeSocket } from './handshake-socket.ts';
import { OpenLink } from './open-link.ts';

export interface DialOptions {
  /** Base URL of the host. */
  readonly url: string;
  readonly partition: PartitionId;
  readonly dialler: Dialler;
  readonly handlers: LinkHandlers;
  /** How often to ask whether the other end is there, ms. */
  readonly pingEveryMs: number;
  readonly log: LogEvent;
}

export interface DialledLink {
  readonly open: OpenLink;
  readonly dialled: Dialled;
  readonly skew: ClockSkew;
}

/** Opens a link. Error: HandshakeError when the other side refuses, else what the network says. */
export async function dialLink(options: DialOptions): Promise<DialledLink> {
  const { url, partition, dialler, handlers, pingEveryMs, log } = options;
  const socket = new WebSocket(linkUrl(url, dialler.database, partition), {
    perMessageDeflate: false,
    maxPayload: FRAME_BYTES_MAX,
    handshakeTimeout: HANDSHAKE_MS_MAX,
  });
  // The first may come before anybody listens. What one means comes with 'close'.
  socket.on('error', () => undefined);
  await once(socket, 'open');
  const steps = new HandshakeSocket(socket);
  try {
    const { hello, send } = dialHello(dialler);
    steps.send(send);
    const { challenge, send: proof } = await dialChallenge(dialler, hello, await steps.next());
    const sentAt = Date.now();
    steps.send(proof);
    const dialled = dialWelcome(dialler, challenge, await steps.next());
    const skew = clockSkew({ time: dialled.time, sentAt, receivedAt: Date.now() });
    const early = steps.release();
    return { open: new OpenLink(socket, dialled, { handlers, pingEveryMs, early, log }), dialled, skew };
  } catch (error) {
    steps.refuse(error);
    throw error;
  }
}

/** @param base as for the public API: `http://…` or `https://…` */
export function linkUrl(base: string, database: string, partition: PartitionId): string {
  const prefix = database === DEFAULT_DATABASE ? '' : `/${encodeURIComponent(database)}`;
  return base.replace(/^http/, 'ws').replace(/\/+$/, '') + prefix + LINK_PATH + partition;
}
