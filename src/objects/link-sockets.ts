import { linkClose } from '../protocol/link.ts';
import { type Accepted, type Acceptor, type AcceptState, acceptHello, acceptProve } from '../rpc/accept.ts';
import { closeReason } from '../rpc/close-reason.ts';
import { HandshakeError } from '../rpc/handshake.ts';
import { Link, type LinkHandlers } from '../rpc/link.ts';

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

export interface LinkSocketsOptions {
  /** Null while this host cannot take anybody: no secret, or no data. */
  readonly acceptor: () => Promise<Acceptor | null>;
  readonly handlers: (accepted: Accepted) => LinkHandlers;
  /** `woken`: it was open before this object slept. */
  readonly opened: (link: Link, accepted: Accepted, woken: boolean) => void;
  readonly ended: (link: Link) => void;
}

/** The links that other hosts have opened to this object. Sockets outlive the object's sleep, and links are made anew. */
export class LinkSockets {
  readonly #state: DurableObjectState;
  readonly #options: LinkSocketsOptions;
  readonly #links = new Map<WebSocket, Link>();

  constructor(state: DurableObjectState, options: LinkSocketsOptions) {
    this.#state = state;
    this.#options = options;
    state.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
    for (const socket of state.getWebSockets()) {
      const attachment = socket.deserializeAttachment() as Attachment | null;
      if (attachment?.phase === 'open') this.#open(socket, attachment.accepted, true);
    }
  }

  /** The link of a host; null if it has none. */
  of(host: string): Link | null {
    for (const link of this.#links.values()) if (link.peer.host === host) return link;
    return null;
  }

  get all(): readonly Link[] {
    return [...this.#links.values()];
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
    const acceptor = await this.#options.acceptor();
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
    this.of(accepted.host)?.close(linkClose.superseded, 'the host has opened a new link');
    socket.send(send);
    this.#open(socket, accepted, false);
  }

  #open(socket: WebSocket, accepted: Accepted, woken: boolean): void {
    const { host, publicKey } = accepted;
    const link: Link = new Link(
      {
        send: (bytes) => socket.send(bytes),
        close: (code, reason) => {
          this.#links.delete(socket);
          end(socket, code, reason);
        },
      },
      { host, publicKey },
      this.#options.handlers(accepted),
      {
        failed: (thrown, type) => console.error(`'${type}' of host ${host}: defect`, thrown),
        ended: () => {
          this.#links.delete(socket);
          this.#options.ended(link);
        },
      },
    );
    this.#links.set(socket, link);
    this.#options.opened(link, accepted, woken);
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
