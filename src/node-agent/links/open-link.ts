import type { WebSocket } from 'ws';
import { linkClose } from '../../protocol/link.ts';
import { Link, type LinkHandlers, type LinkPeer } from '../../rpc/link.ts';
import { causeOf, type LogEvent } from '../log.ts';

/** A peer that says nothing for this long after a ping is taken for dead, ms (chosen: four lost packets' worth of patience). */
const SILENCE_MS_MAX = 10_000;

/** Traffic of all links of this process, bytes of frames since it started. */
export const linkTraffic = { received: 0, sent: 0 };

export interface OpenLinkOptions {
  readonly handlers: LinkHandlers;
  /** 0 leaves it to the other side to ask whether this one is there. */
  readonly pingEveryMs: number;
  /** Frames that have come already. */
  readonly early: readonly Uint8Array[];
  readonly log: LogEvent;
}

/** One open link over a WebSocket, with the pings that find out when its other end is gone. */
export class OpenLink {
  readonly link: Link;
  /** Resolves with the reason when it has ended, whoever ended it. */
  readonly closed: Promise<string>;
  /** Round trip, ms; null until one was measured. */
  latencyMs: number | null = null;
  readonly #socket: WebSocket;
  readonly #pinging: ReturnType<typeof setInterval> | null;
  #silence: ReturnType<typeof setTimeout> | null = null;
  #pingedAt = 0;

  constructor(socket: WebSocket, peer: LinkPeer, options: OpenLinkOptions) {
    const { handlers, pingEveryMs, early, log } = options;
    this.#socket = socket;
    const failed = (thrown: unknown, type: string): void =>
      log('error', 'message-failed', { type, host: peer.host, cause: causeOf(thrown) });
    this.link = new Link(
      {
        send: (bytes) => {
          linkTraffic.sent += bytes.byteLength;
          socket.send(bytes);
        },
        close: (code, reason) => this.#closeSocket(code, reason),
      },
      peer,
      handlers,
      { failed },
    );
    const { promise, resolve } = Promise.withResolvers<string>();
    this.closed = promise;
    const ended = (why: string): void => {
      this.#stop();
      this.link.closed(why);
      resolve(why);
    };
    socket.on('close', (code, reason) => ended(reason.length > 0 ? reason.toString() : closeText(code)));
    // What an error means comes with 'close'.
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer, isBinary) => this.#heard(data, isBinary));
    this.#pinging = pingEveryMs === 0 ? null : setInterval(() => this.ping(), pingEveryMs);
    for (const frame of early) this.#receive(frame);
    // It has said so already.
    if (socket.readyState === socket.CLOSED) ended(closeText(1006));
  }

  /** Asks whether the other end is there: if nothing comes in time, the link ends. */
  ping(): void {
    if (this.#silence !== null || this.#socket.readyState !== this.#socket.OPEN) return;
    this.#pingedAt = performance.now();
    this.#socket.send('ping');
    this.#silence = setTimeout(() => this.#socket.terminate(), SILENCE_MS_MAX);
  }

  close(code: number, reason: string): void {
    this.link.close(code, reason);
  }

  get peer(): LinkPeer {
    return this.link.peer;
  }

  #closeSocket(code: number, reason: string): void {
    this.#stop();
    this.#socket.close(code, reason);
    // A peer that does not close in turn is not waited for.
    this.#silence = setTimeout(() => this.#socket.terminate(), SILENCE_MS_MAX);
    this.#silence.unref();
  }

  #heard(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      this.#receive(data);
      return;
    }
    const text = data.toString();
    if (text === 'ping') this.#socket.send('pong');
    else if (text === 'pong') this.#ponged();
    else this.close(linkClose.garbage, 'text where a frame belongs');
  }

  #ponged(): void {
    if (this.#silence === null) return;
    clearTimeout(this.#silence);
    this.#silence = null;
    const latencyMs = performance.now() - this.#pingedAt;
    // Smoothed as TCP's round trip is: RFC 6298, section 2.
    this.latencyMs = this.latencyMs === null ? latencyMs : this.latencyMs * 0.875 + latencyMs * 0.125;
  }

  #receive(bytes: Uint8Array): void {
    linkTraffic.received += bytes.byteLength;
    this.link.receive(bytes);
  }

  #stop(): void {
    if (this.#pinging !== null) clearInterval(this.#pinging);
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = null;
  }
}

/** RFC 6455, section 7.4.1. */
function closeText(code: number): string {
  if (code === 1006) return 'the connection was lost';
  if (code === 1001) return 'the other side went away';
  return `closed with ${code}`;
}
