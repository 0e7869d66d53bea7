import type { WebSocket } from 'ws';
import { linkClose } from '../../protocol/link.ts';
import { closeReason } from '../../rpc/close-reason.ts';
import { HANDSHAKE_MS_MAX, HandshakeError } from '../../rpc/handshake.ts';

/** A socket whose other end has proved nothing yet: its frames are asked for one by one, each within its time. */
export class HandshakeSocket {
  readonly #socket: WebSocket;
  readonly #frames: Uint8Array[] = [];
  #wanting: ((frame: Uint8Array) => void) | null = null;
  #failing: ((error: Error) => void) | null = null;
  #ended: Error | null = null;
  readonly #onMessage = (data: Buffer, isBinary: boolean): void => {
    if (!isBinary) this.#fail(new HandshakeError(linkClose.garbage, 'text where a frame belongs'));
    else if (this.#wanting === null) this.#frames.push(data);
    else this.#wanting(data);
  };
  readonly #onClose = (code: number, reason: Buffer): void => {
    const why = reason.length > 0 ? reason.toString() : `the connection was closed with ${code}`;
    this.#fail(new HandshakeError(code, why));
  };
  readonly #onError = (error: Error): void => this.#fail(error);

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', this.#onMessage);
    socket.on('close', this.#onClose);
    socket.on('error', this.#onError);
  }

  send(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  /** The other side's next frame. Error: HandshakeError when it closes or says nothing. */
  async next(): Promise<Uint8Array> {
    const waiting = this.#frames.shift();
    if (waiting !== undefined) return waiting;
    if (this.#ended !== null) throw this.#ended;
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise<Uint8Array>((resolve, reject) => {
        this.#wanting = resolve;
        this.#failing = reject;
        timer = setTimeout(
          () => reject(new HandshakeError(linkClose.slow, `no answer within ${HANDSHAKE_MS_MAX / 1000} s`)),
          HANDSHAKE_MS_MAX,
        );
      });
    } finally {
      clearTimeout(timer);
      this.#wanting = null;
      this.#failing = null;
    }
  }

  /** Lets go of the socket; gives the frames that came after those of the handshake. */
  release(): readonly Uint8Array[] {
    this.#socket.off('message', this.#onMessage);
    this.#socket.off('close', this.#onClose);
    this.#socket.off('error', this.#onError);
    return this.#frames;
  }

  /** Closes with what the error says. */
  refuse(error: unknown): void {
    const code = error instanceof HandshakeError && error.closeCode >= 4000 ? error.closeCode : 1011;
    const text = error instanceof HandshakeError ? error.message : 'the handshake failed';
    this.#socket.close(code, closeReason(text));
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    this.#failing?.(error);
  }
}
