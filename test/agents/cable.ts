import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * - `open`: bytes pass.
 * - `cut`: connections are reset, and new ones as soon as they come.
 * - `frozen`: nothing passes and nobody is told, as where packets are lost; afterwards the bytes go on.
 */
export type LinkState = 'open' | 'cut' | 'frozen';

/** A TCP proxy on the loopback address: the cable between two processes. */
export class Cable {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #port = 0;
  #state: LinkState = 'open';

  private constructor(target: number) {
    this.#target = target;
  }

  static async start(target: number): Promise<Cable> {
    const cable = new Cable(target);
    await cable.#listen();
    return cable;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get state(): LinkState {
    return this.#state;
  }

  set(state: LinkState): void {
    this.#state = state;
    for (const socket of this.#sockets) {
      if (state === 'cut') socket.resetAndDestroy();
      else if (state === 'frozen') socket.pause();
      else socket.resume();
    }
  }

  /** Leaves its port for another one, as a host does that gets a new address. */
  async move(): Promise<void> {
    await this.close();
    await this.#listen();
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    for (const socket of this.#sockets) socket.resetAndDestroy();
    server.close();
    await once(server, 'close');
  }

  async #listen(): Promise<void> {
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#join(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  #join(near: Socket): void {
    if (this.#state === 'cut') {
      near.resetAndDestroy();
      return;
    }
    const far = connect(this.#target, '127.0.0.1');
    // Until it is connected, a socket that is read would resume by itself.
    far.pause();
    this.#pass(near, far);
    this.#pass(far, near);
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (bytes) => {
      if (to.write(bytes)) return;
      from.pause();
      to.once('drain', () => {
        if (this.#state === 'open') from.resume();
      });
    });
    from.on('end', () => to.end());
    // What an error means comes with 'close'.
    from.on('error', () => undefined);
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#state === 'open') from.resume();
  }
}
