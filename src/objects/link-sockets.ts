import type { HostLinks } from '../partition/host-links.ts';
import { linkClose } from '../protocol/link.ts';
import { type Accepted, type AcceptState, acceptHello, acceptProve } from '../rpc/accept.ts';
import { closeReason } from '../rpc/close-reason.ts';
import { HandshakeError } from '../rpc/handshake.ts';
import { Link } from '../rpc/link.ts';

/** Sockets whose other side has not proved yet who it is (chosen: what strangers can make an object hold). */
const STRANGERS_MAX = 64;
/** What a host that lives sends now and then, and the runtime answers without waking the object. */
const PING = 'ping';
const PONG = 'pong';

/** What a socket keeps while the object sleeps: https://developers.cloudflare.com/durable-objects/best-practices/websockets/. */
type Attachment =
  | { readonly phase: 'hello' }
  | { readonly phase: 'prove'; readonly state: AcceptState }
  | { readonly phase: 'open'; readonly accepted: Accepted };

/** The links that other hosts have opened to this object. Sockets outlive the object's sleep, and links are made anew. */
export class LinkSockets {
  readonly #state: DurableObjectState;
  readonly #hosts: HostLinks;
  readonly #links = new Map<WebSocket, Link>();

  constructor(state: DurableObjectState, hosts: HostLinks) {
    this.#state = state;
    this.#hosts = hosts;
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    for (const socket of state.getWebSockets()) {
      const attachment = socket.deserializeAttachment() as Attachment | null;
      if (attachment?.phase === 'open') this.#open(socket, attachment.accepted, true);
    }
  }

  /** Takes a new socket, whose other side is a stranger until it has proved who it is. */
  accept(): Response {
    const strangers = this.#state
      .getWebSockets()
      .filter((socket) => (socket.deserializeAttachment() as Attachment).phase !== 'open');
    const [oldest] = strangers;
    if (strangers.length >= STRANGERS_MAX) oldest?.close(linkClose.slow, 'too many are waiting to be let in');
    const { 0: client, 1: server } = new WebSocketPair();
    this.#state.acceptWebSocket(server);
    keep(server, { phase: 'hello' });
    return new Response(null, { status: 101, webSocket: client });
  }

  async message(socket: WebSocket, data: ArrayBuffer | string): Promise<void> {
    if (typeof data === 'string') {
      // A ping that came while the object was starting.
      if (data === PING) socket.send(PONG);
      else end(socket, linkClose.garbage, 'frames are binary');
      return;
    }
    const bytes = new Uint8Array(data);
    const link = this.#links.get(socket);
    if (link !== undefined) return link.receive(bytes);
    try {
      await this.#greet(socket, bytes);
    } catch (error) {
      if (!(error instanceof HandshakeError)) throw error;
      console.warn(`a host was not let in: ${error.message}`);
      end(socket, error.closeCode, error.message);
    }
  }

  closed(socket: WebSocket, reason: string): void {
    const link = this.#links.get(socket);
    this.#links.delete(socket);
    link?.closed(reason);
  }

  async #greet(socket: WebSocket, frame: Uint8Array): Promise<void> {
    const attachment = socket.deserializeAttachment() as Attachment;
    const acceptor = await this.#hosts.acceptor();
    if (acceptor === null) throw new HandshakeError(linkClose.notAuthentic, 'this object takes no hosts');
    if (attachment.phase === 'hello') {
      const { state, send } = await acceptHello(acceptor, frame);
      keep(socket, { phase: 'prove', state });
      socket.send(send);
      return;
    }
    if (attachment.phase === 'open') throw new Error('an open socket without its link');
    // A state is good for one proof.
    keep(socket, { phase: 'hello' });
    const { accepted, send } = await acceptProve(acceptor, attachment.state, frame, Date.now());
    keep(socket, { phase: 'open', accepted });
    for (const link of this.#links.values()) {
      if (link.peer.host !== accepted.host) continue;
      link.close(linkClose.superseded, 'the host has opened a new link');
    }
    socket.send(send);
    this.#open(socket, accepted, false);
  }

  #open(socket: WebSocket, accepted: Accepted, woken: boolean): void {
    const { host, publicKey, version } = accepted;
    const link: Link = new Link(
      {
        send: (bytes) => socket.send(bytes),
        close: (code, reason) => {
          this.#links.delete(socket);
          end(socket, code, reason);
        },
      },
      { host, publicKey, version },
      this.#hosts.handlers(accepted),
      {
        failed: (thrown, type) => console.error(`'${type}' of host ${host}: defect`, thrown),
        ended: () => {
          this.#links.delete(socket);
          this.#hosts.ended(link);
        },
      },
    );
    this.#links.set(socket, link);
    this.#hosts.opened(link, accepted, woken);
  }
}

function keep(socket: WebSocket, attachment: Attachment): void {
  socket.serializeAttachment(attachment);
}

function end(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, closeReason(reason));
  } catch {
    // It is closed already.
  }
}
