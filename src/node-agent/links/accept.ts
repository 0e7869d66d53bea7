import type { WebSocket } from 'ws';
import { type Accepted, type Acceptor, acceptHello, acceptProve } from '../../rpc/accept.ts';
import type { LinkHandlers } from '../../rpc/link.ts';
import type { LogEvent } from '../log.ts';
import { HandshakeSocket } from './handshake-socket.ts';
import { OpenLink } from './open-link.ts';

/** Lets the host at the other end of a socket in, if it belongs. Error: HandshakeError; the socket is closed then. */
export async function acceptLink(
  socket: WebSocket,
  acceptor: Acceptor,
  handlers: (accepted: Accepted) => LinkHandlers,
  log: LogEvent,
  now: () => number = Date.now,
): Promise<{ readonly open: OpenLink; readonly accepted: Accepted }> {
  const steps = new HandshakeSocket(socket);
  try {
    const { state, send } = await acceptHello(acceptor, await steps.next());
    steps.send(send);
    const { accepted, send: welcome } = await acceptProve(acceptor, state, await steps.next(), now());
    // The link must listen before the other side knows that it may speak.
    const open = new OpenLink(socket, accepted, {
      handlers: handlers(accepted),
      pingEveryMs: 0,
      early: steps.release(),
      log,
    });
    socket.send(welcome);
    return { open, accepted };
  } catch (error) {
    steps.refuse(error);
    throw error;
  }
}
