import type { PartitionId } from '../../src/base/brand.ts';
import { RPC_HEADER, RPC_VERSION } from '../../src/protocol/rpc.ts';
import { type Dialler, dialChallenge, dialHello, dialWelcome } from '../../src/rpc/dial.ts';
import { generateHostKey, type HostKey, importHostKey } from '../../src/rpc/host-key.ts';
import { Link, type Message } from '../../src/rpc/link.ts';
import { importSecret } from '../../src/rpc/secret.ts';
import { partition } from './router.ts';

/** ATOLL_SECRET of the tests: vitest.config.ts. */
export const SECRET = 'the secret of the tests';

/** A host outside: it dials objects as an agent does, and keeps what it is told. */
export class OutsideHost {
  readonly key: HostKey;
  readonly history: string | null;
  readonly #database: string;
  readonly #secret: string;

  private constructor(key: HostKey, database: string, secret: string, history: string | null) {
    this.key = key;
    this.#database = database;
    this.#secret = secret;
    this.history = history;
  }

  static async create(
    database: string,
    secret = SECRET,
    history: string | null = null,
  ): Promise<OutsideHost> {
    return new OutsideHost(await importHostKey(await generateHostKey()), database, secret, history);
  }

  /** A link to a partition's object. Rejects with the reason for which the other side closes. */
  async dial(id: number): Promise<OutsideLink> {
    const response = await partition(id).fetch('http://partition/link', {
      headers: { upgrade: 'websocket', [RPC_HEADER]: String(RPC_VERSION) },
    });
    const socket = response.webSocket;
    if (socket === null) throw new Error(`no socket: ${response.status}`);
    socket.binaryType = 'arraybuffer';
    socket.accept();
    const dialler: Dialler = {
      key: this.key,
      secret: await importSecret(this.#secret),
      database: this.#database,
      history: this.history,
      address: null,
      expects: null,
    };
    const frames = new Queue<Uint8Array>();
    socket.addEventListener('message', ({ data }) => frames.push(new Uint8Array(data as ArrayBuffer)));
    socket.addEventListener('close', ({ code, reason }) => frames.fail(new Error(`${code} ${reason}`)));
    const { hello, send } = dialHello(dialler);
    socket.send(send);
    const answer = await dialChallenge(dialler, hello, await frames.next());
    socket.send(answer.send);
    dialWelcome(dialler, answer.challenge, await frames.next());
    return new OutsideLink(socket, frames, id as PartitionId);
  }
}

/** An open link, and the events that came over it. */
export class OutsideLink {
  readonly link: Link;
  readonly partition: PartitionId;
  readonly #events = new Map<string, Queue<Message>>();

  constructor(socket: WebSocket, frames: Queue<Uint8Array>, partition: PartitionId) {
    this.partition = partition;
    const event = (type: string) => (message: Message) => this.#queue(type).push(message);
    const events = Object.fromEntries(
      ['append', 'follow-again', 'vote-request'].map((type) => [type, event(type)]),
    );
    this.link = new Link(
      socket,
      { host: 'edge', publicKey: null, version: RPC_VERSION },
      { calls: {}, events },
      {
        failed: (thrown) => {
          throw thrown;
        },
      },
    );
    frames.drain(
      (bytes) => this.link.receive(bytes),
      (error) => this.link.closed(error.message),
    );
  }

  /** The next event of a type. */
  event(type: string): Promise<Message> {
    return this.#queue(type).next();
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape.
  async call(type: string, head: unknown, data?: Uint8Array): Promise<any> {
    return (await this.link.call(type, head, data === undefined ? {} : { data })).head;
  }

  #queue(type: string): Queue<Message> {
    const queue = this.#events.get(type) ?? new Queue<Message>();
    this.#events.set(type, queue);
    return queue;
  }
}

/** What came and was not asked for yet, or the other way round. */
class Queue<T> {
  readonly #items: T[] = [];
  readonly #waiting: { resolve: (item: T) => void; reject: (error: Error) => void }[] = [];
  #failed: Error | null = null;
  #sink: { take: (item: T) => void; fail: (error: Error) => void } | null = null;

  push(item: T): void {
    const waiting = this.#waiting.shift();
    if (this.#sink !== null) this.#sink.take(item);
    else if (waiting === undefined) this.#items.push(item);
    else waiting.resolve(item);
  }

  fail(error: Error): void {
    this.#failed = error;
    this.#sink?.fail(error);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  next(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    if (this.#failed !== null) return Promise.reject(this.#failed);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** From now on items go there. */
  drain(take: (item: T) => void, fail: (error: Error) => void): void {
    this.#sink = { take, fail };
    for (const item of this.#items.splice(0)) take(item);
    if (this.#failed !== null) fail(this.#failed);
  }
}
