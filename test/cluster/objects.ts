import { present } from '../../src/base/assert.ts';
import type { SqlValue } from '../../src/base/sql-value.ts';
import { readIdentity } from '../../src/core/replica/identity.ts';
import { readCatalogue } from '../../src/core/replica/schema-versions.ts';
import type { Catalogue } from '../../src/core/schema/catalogue.ts';
import { tokenOfKey } from '../../src/core/schema/partition-key.ts';
import { keyColumns } from '../../src/core/schema/placement.ts';
import type { Table } from '../../src/core/schema/table.ts';
import { covers } from '../../src/core/schema/token-map.ts';
import type { UniqueIndex } from '../../src/core/schema/unique-index.ts';
import { createGateway } from '../../src/gateway/app.ts';
import { readError } from '../../src/gateway/database.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import { PartitionServer } from '../../src/partition/partition-server.ts';
import type { Peers } from '../../src/partition/surroundings.ts';
import { AtollError } from '../../src/protocol/error.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../src/protocol/rpc.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';
import { checkIndexes } from '../simulation/indexes.ts';
import type { Reply } from './cluster.ts';

const TOKEN = 'admin-of-the-tests';

interface Life {
  readonly server: PartitionServer;
  readonly port: NodeSqlitePort;
  over: boolean;
  /** Of those that wait for its answers. */
  readonly callers: Set<() => void>;
}

/** A message on its way to a partition: from a router (null), or another partition. */
export interface OnItsWay {
  readonly from: number | null;
  readonly to: number;
  readonly type: string;
  readonly body: string;
}

/** Partitions' servers and routers in this process, for tests that need no workerd: messages can be met on their way, objects crash. */
export class Objects {
  readonly #lives = new Map<number, Life>();
  readonly #alarms = new Map<number, { at: number; timer: NodeJS.Timeout }>();
  readonly #gateway;
  readonly partitions: number;
  /** Is told of every message before it is delivered, and may wait, or throw so that it is lost. */
  meet: (message: OnItsWay) => unknown = () => undefined;
  /** The same for answers. */
  meetAnswer: (message: OnItsWay) => unknown = () => undefined;
  closed = false;

  private constructor(partitions: number) {
    this.partitions = partitions;
    for (let partition = 0; partition <= partitions; partition++)
      this.#start(partition, new NodeSqlitePort(':memory:', { synchronous: 'OFF' }));
    this.#gateway = this.router();
  }

  static async start(partitions = 3): Promise<Objects> {
    const objects = new Objects(partitions);
    await objects.post('/v1/init', { partitions });
    return objects;
  }

  /** Another router, which knows nothing yet. */
  router() {
    return createGateway({
      transport: {
        call: (_, partition, { type, body, deadline }) =>
          this.#deliver({ from: null, to: partition, type, body: String(body) }, deadline),
      },
      staticToken: TOKEN,
      seal: new SessionSeal(null),
      corsOrigins: [],
    });
  }

  async send(path: string, init: RequestInit, router = this.#gateway): Promise<Reply> {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...init.headers };
    const reply = await router.fetch(new Request(`http://atoll${path}`, { ...init, headers }));
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, text, json: JSON.parse(text) };
  }

  post(path: string, body: unknown): Promise<Reply> {
    return this.send(path, { method: 'POST', body: JSON.stringify(body) });
  }

  query(sql: string, args?: unknown): Promise<Reply> {
    return this.post('/v1/query', { sql, args });
  }

  /** @throws for an error */
  async rows(sql: string, args?: unknown): Promise<unknown[][]> {
    const { status, json, text } = await this.query(sql, args);
    if (status !== 200) throw new Error(`${sql}: ${text}`);
    return json.rows;
  }

  /** NDJSON. */
  import(table: string, body: string, query = ''): Promise<Reply> {
    const headers = { 'content-type': 'application/x-ndjson' };
    return this.send(`/v1/import/${table}${query}`, { method: 'POST', headers, body });
  }

  /** Rows of every partition's own file. */
  everywhere(sql: string): unknown[][] {
    return [...this.#lives]
      .filter(([partition]) => partition > 0)
      .flatMap(([, { port }]) => port.query(sql).rows.map((row) => [...row]));
  }

  /** The schema as the system partition has it. */
  get catalogue(): Catalogue {
    return readCatalogue(this.port(0));
  }

  /** Indexes over partitions of a table. */
  uniques(name: string): readonly UniqueIndex[] {
    const { tables, uniques = [] } = this.catalogue;
    return uniques.filter(({ of }) => tables.some((table) => table.id === of && table.name === name));
  }

  /** @throws unless all indexes over partitions have exactly the entries of their rows */
  async expectIndexed(): Promise<void> {
    // What is decided is on its way to some.
    while (this.everywhere('SELECT 1 FROM _atoll_prepared').length > 0)
      await new Promise((resolve) => setTimeout(resolve, 1));
    checkIndexes(Array.from({ length: this.partitions + 1 }, (_, partition) => this.port(partition)));
  }

  /** Whose a row of the table is that has this partition key. */
  ownerOf(table: Table, ...key: SqlValue[]): number {
    const token = tokenOfKey(key, keyColumns(table));
    const partitions = Array.from({ length: this.partitions }, (_, index) => index + 1);
    const owner = partitions.find((each) => covers(readIdentity(this.port(each)).ranges, token));
    return present(owner, 'every token has an owner');
  }

  port(partition: number): NodeSqlitePort {
    return this.#life(partition).port;
  }

  /** Its memory is gone; what it has written is there. Who waits for it is told that the answer is lost. */
  crash(partition: number): void {
    const life = this.#life(partition);
    life.over = true;
    for (const lost of life.callers) lost();
    this.#start(partition, life.port);
  }

  close(): void {
    this.closed = true;
    for (const { timer } of this.#alarms.values()) clearTimeout(timer);
    for (const life of this.#lives.values()) life.over = true;
  }

  #life(partition: number): Life {
    const life = this.#lives.get(partition);
    if (life === undefined) throw new Error(`no partition ${partition}`);
    return life;
  }

  #start(partition: number, port: NodeSqlitePort): void {
    const peers: Peers = {
      call: async (_, to, type, message, milliseconds = 10_000) => {
        if (life.over) return new Promise(() => undefined);
        const sent = { from: partition, to, type, body: JSON.stringify(message) };
        const reply = await this.#deliver(sent, Date.now() + milliseconds).catch((error: unknown) => {
          throw new AtollError('unavailable', `partition ${to} does not answer: ${String(error)}`, 'none');
        });
        if (life.over) return new Promise(() => undefined);
        if (!reply.ok) throw await readError(reply);
        return (await reply.json()) as never;
      },
    };
    const life = { port, over: false, callers: new Set() } as { -readonly [Key in keyof Life]: Life[Key] };
    this.#lives.set(partition, life);
    life.server = new PartitionServer({
      port: onlyWhile(port, () => !life.over && !this.closed),
      peers,
      secret: undefined,
      key: null,
      seal: new SessionSeal(null),
      durable: async () => undefined,
      setAlarm: (at) => {
        if (!life.over) this.#ringAt(partition, at);
      },
      pause: (milliseconds) =>
        new Promise((resolve) => {
          setTimeout(() => {
            if (!life.over) resolve();
          }, milliseconds).unref();
        }),
      abandon: () => {
        if (!life.over) this.crash(partition);
      },
    });
    // An alarm that was set is in the file.
    const alarm = this.#alarms.get(partition);
    if (alarm !== undefined) this.#ringAt(partition, alarm.at);
  }

  #ringAt(partition: number, at: number): void {
    clearTimeout(this.#alarms.get(partition)?.timer);
    const ring = () => {
      this.#alarms.delete(partition);
      if (this.closed) return;
      this.#life(partition)
        .server.alarm()
        .catch(() => {
          if (!this.closed && !this.#alarms.has(partition)) this.#ringAt(partition, Date.now() + 100);
        });
    };
    this.#alarms.set(partition, { at, timer: setTimeout(ring, Math.max(0, at - Date.now())) });
  }

  async #deliver(message: OnItsWay, deadline: number): Promise<Response> {
    await this.meet(message);
    // Or else timers would never run while messages go to and fro.
    await new Promise((resolve) => setImmediate(resolve));
    const headers = {
      [RPC_HEADER]: String(RPC_VERSION),
      [TRACE_HEADER]: '',
      [DEADLINE_HEADER]: String(deadline),
    };
    const { to, type, body } = message;
    const life = this.#life(to);
    const request = new Request(`http://partition/${type}`, { method: 'POST', headers, body });
    const response = await new Promise<Response>((resolve, reject) => {
      const lost = () => reject(new LostError('the object has crashed'));
      life.callers.add(lost);
      life.server
        .fetch(request)
        .then(resolve, reject)
        .finally(() => life.callers.delete(lost));
    });
    await this.meetAnswer(message);
    return response;
  }
}

/** What the transport throws for an answer that is lost. */
export class LostError extends Error {
  override name = 'LostError';
}

function onlyWhile(port: NodeSqlitePort, isAlive: () => boolean): NodeSqlitePort {
  return new Proxy(port, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (!isAlive()) throw new LostError('the object has crashed');
        return member.apply(target, args);
      };
    },
  });
}
