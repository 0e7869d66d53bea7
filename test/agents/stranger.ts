import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import type { PartitionId } from '../../src/base/brand.ts';
import { linkUrl } from '../../src/node-agent/links/dial.ts';
import { OpenLink } from '../../src/node-agent/links/open-link.ts';
import { type Dialler, dialChallenge, dialHello, dialWelcome } from '../../src/rpc/dial.ts';
import { decodeStep, encodeStep, proofText } from '../../src/rpc/handshake.ts';
import { generateHostKey, type HostKey, importHostKey } from '../../src/rpc/host-key.ts';
import { importSecret } from '../../src/rpc/secret.ts';
import { SECRET } from './processes.ts';

/** How a socket ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A host that does not do as it should, at the other end of a socket of its own. */
export class Stranger {
  readonly #socket: WebSocket;
  readonly #frames: Uint8Array[] = [];
  #waiting: (() => void) | null = null;
  readonly closed: Promise<Closed>;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      this.#frames.push(data);
      this.#waiting?.();
    });
  }

  static async at(base: string, partition = 0): Promise<Stranger> {
    const socket = new WebSocket(linkUrl(base, 'main', partition as PartitionId), {
      perMessageDeflate: false,
    });
    const stranger = new Stranger(socket);
    await once(socket, 'open');
    return stranger;
  }

  send(data: Uint8Array | string): void {
    this.#socket.send(data);
  }

  /** The next frame. Error: how the socket ended instead. */
  async next(): Promise<Uint8Array> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      const ended = await Promise.race([
        new Promise<null>((resolve) => {
          this.#waiting = () => resolve(null);
        }),
        this.closed,
      ]);
      if (ended !== null) throw new Error(`closed with ${ended.code}: ${ended.reason}`);
    }
  }

  /** The whole handshake, as it should be: a link. */
  async shakeHands(dialler: Dialler): Promise<OpenLink> {
    const { hello, send } = dialHello(dialler);
    this.send(send);
    const { challenge, send: proof } = await dialChallenge(dialler, hello, await this.next());
    this.send(proof);
    const dialled = dialWelcome(dialler, challenge, await this.next());
    this.#socket.removeAllListeners('message');
    const log = () => undefined;
    const handlers = { calls: {}, events: {} };
    return new OpenLink(this.#socket, dialled, { handlers, pingEveryMs: 0, early: this.#frames, log });
  }

  /** The handshake with lies in it. `prover`: who makes the proof, in place of who says hello. */
  async lie(
    dialler: Dialler,
    lies: { host?: string; publicKey?: string; signer?: HostKey },
  ): Promise<Uint8Array> {
    const { hello: honest } = dialHello(dialler);
    const { signer = dialler.key, ...said } = lies;
    const hello = { ...honest, ...said };
    this.send(encodeStep('hello', hello));
    const challenge = decodeStep('challenge', await this.next());
    const text = proofText('client', hello, challenge);
    const prove = encodeStep('prove', {
      proof: await dialler.secret.prove(text),
      signature: await signer.sign(text),
    });
    this.send(prove);
    return prove;
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** A host of its own, with the secret of the cluster unless another is given. */
export async function newHost(changes: Partial<Dialler> & { secretText?: string } = {}): Promise<Dialler> {
  const { secretText = SECRET, ...more } = changes;
  return {
    key: await importHostKey(await generateHostKey()),
    secret: await importSecret(secretText),
    database: 'main',
    history: null,
    address: null,
    expects: null,
    ...more,
  };
}

/**
 * Opens a WebSocket by hand, and sends bytes that no library would. Resolves when the other side has said that it ends
 * it, or has ended it.
 */
export async function rawBytes(base: string, bytes: Uint8Array): Promise<void> {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  const head = ['connection: Upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
  const key = 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==';
  socket.write(['GET /v1/link/0 HTTP/1.1', `host: ${hostname}:${port}`, ...head, key, '\r\n'].join('\r\n'));
  await once(socket, 'data');
  const said = new Promise<void>((resolve) => {
    socket.on('data', ([first]: Buffer) => {
      if (first === CLOSE_FRAME) resolve();
    });
  });
  socket.write(bytes);
  await Promise.race([said, closed]);
  socket.destroy();
}

/** RFC 6455 section 5.5.1: the last fragment, opcode 8. */
const CLOSE_FRAME = 0x88;
