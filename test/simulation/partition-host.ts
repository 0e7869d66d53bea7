import type { PartitionId } from '../../src/base/brand.ts';
import { type PortResult, type PortValue, SqliteError, type SqlitePort } from '../../src/core/sqlite/port.ts';
import type { Coalescing } from '../../src/gateway/lane.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import { PartitionServer } from '../../src/partition/partition-server.ts';
import type { Peers } from '../../src/partition/surroundings.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';
import type { Random } from '../harness/random.ts';
import { type Actor, type EventLoop, SUPERSEDED } from './event-loop.ts';

/** Of databases whose durability is the simulator's. */
export const MEMORY = { synchronous: 'OFF', restricted: false } as const;

/** One life of an object: its memory, and its view of the storage, which ends with it. */
interface Instance extends Actor {
  readonly server: PartitionServer;
  readonly port: GatedPort;
  /** Of those that wait for its answers. */
  readonly callers: Set<() => void>;
}

/** The storage that an instance sees. A superseded one finds out when it touches it. */
class GatedPort implements SqlitePort {
  readonly inner: NodeSqlitePort;
  /** Rises with every transaction that was committed: the output gate's clock. */
  writes = 0;
  superseded = false;
  /** It has found out: the platform ends it, and whoever waits for it is told. */
  broken = false;
  readonly #broke: () => void;
  #depth = 0;

  constructor(inner: NodeSqlitePort, broke: () => void) {
    this.inner = inner;
    this.#broke = broke;
  }

  query(sql: string, ...bindings: readonly PortValue[]): PortResult {
    this.#touch();
    if (this.#depth === 0 && !/^\s*(SELECT|PRAGMA|EXPLAIN)/i.test(sql)) this.writes++;
    return this.inner.query(sql, ...bindings);
  }

  queryBounded(
    sql: string,
    bindings: readonly PortValue[],
    bytesMax: number,
  ): PortResult & { readonly truncated: boolean } {
    this.#touch();
    return this.inner.queryBounded(sql, bindings, bytesMax);
  }

  transaction<T>(body: () => T): T {
    this.#touch();
    this.#depth++;
    try {
      return this.inner.transaction(body);
    } finally {
      this.#depth--;
      if (this.#depth === 0) this.writes++;
    }
  }

  databaseSize(): number {
    return this.inner.databaseSize();
  }

  #touch(): void {
    if (!this.superseded) return;
    if (!this.broken) this.#broke();
    this.broken = true;
    throw new SqliteError('io', 'SQLITE_IOERR', SUPERSEDED);
  }
}

export interface PartitionHostOptions {
  readonly loop: EventLoop;
  readonly id: PartitionId;
  readonly peers: (host: PartitionHost) => Peers;
  readonly coalescing: Coalescing | null;
  /** An instance has started over a file that there was. */
  readonly restarted: (host: PartitionHost) => void;
  readonly defect: (error: unknown) => void;
}

/**
 * A Durable Object as the platform runs it (https://developers.cloudflare.com/durable-objects/reference/in-memory-state/): what
 * it sends leaves when what it wrote before is durable (output gate); a crash takes back what was not; another
 * instance may start at any time; alarms ring at least once.
 */
export class PartitionHost {
  readonly id: PartitionId;
  readonly #options: PartitionHostOptions;
  #instance: Instance;
  /** The file as it is on disk. */
  #durable: Uint8Array;
  /** Of `writes`, what `#durable` has. */
  #durableWrites = 0;
  #flushing = false;
  /** Messages that wait for the output gate. */
  #gated: { readonly after: number; readonly leave: () => void }[] = [];
  /** When the alarm rings that was set durably; of the file, not of an instance. */
  #alarmAt: number | null = null;
  clockOffsetMs = 0;
  readonly #random: Random;

  constructor(options: PartitionHostOptions) {
    this.#options = options;
    this.id = options.id;
    this.#random = options.loop.stream(`partition ${options.id}`);
    const port = new NodeSqlitePort(':memory:', MEMORY);
    this.#durable = port.serialize();
    this.#instance = this.#start(port);
  }

  get actor(): Actor {
    return this.#instance;
  }

  get server(): PartitionServer {
    return this.#instance.server;
  }

  /** The database as it is now, for checks. */
  get port(): NodeSqlitePort {
    return this.#instance.port.inner;
  }

  #start(inner: NodeSqlitePort): Instance {
    const { loop, peers, coalescing } = this.#options;
    const port = new GatedPort(inner, () => {
      instance.alive = false;
      for (const fail of instance.callers) fail();
      inner.close();
    });
    const name = `partition ${this.id}`;
    const instance = { name, alive: true, port, callers: new Set(), clockOffsetMs: this.clockOffsetMs } as {
      -readonly [Key in keyof Instance]: Instance[Key];
    };
    instance.server = new PartitionServer({
      port,
      peers: peers(this),
      ...(coalescing !== null && { coalescing }),
      secret: undefined,
      seal: new SessionSeal(null),
      key: null,
      durable: () => new Promise((resolve) => this.#gate(instance, resolve)),
      setAlarm: (at) => this.#setAlarm(instance, at),
      pause: (milliseconds) => new Promise((resolve) => loop.schedule(milliseconds, instance, resolve)),
      abandon: () => loop.schedule(0, instance, () => this.crash(false)),
    });
    return instance;
  }

  /** Serves a request as the present instance; `answer` is called when the answer leaves, `fail` if the instance dies before. */
  serve(request: Request, answer: (response: Response) => void, fail: () => void): void {
    const instance = this.#instance;
    instance.callers.add(fail);
    const leave = (response: Response): void => {
      if (instance.callers.delete(fail)) answer(response);
    };
    instance.server.fetch(request).then(
      (response) => instance.port.broken || this.#gate(instance, () => leave(response)),
      (error: unknown) => this.#options.defect(error),
    );
  }

  /** Lets `leave` happen when what the instance has written is durable. */
  gate(leave: () => void): void {
    this.#gate(this.#instance, leave);
  }

  #gate(instance: Instance, leave: () => void): void {
    if (instance !== this.#instance) {
      // Superseded: what it says of memory alone may still leave.
      if (instance.alive) leave();
      return;
    }
    const { writes } = instance.port;
    if (writes <= this.#durableWrites && this.#gated.length === 0) {
      leave();
      return;
    }
    this.#gated.push({ after: writes, leave });
    this.#flush(instance);
  }

  #flush(instance: Instance): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const { loop } = this.#options;
    loop.schedule(0.2 + this.#random.next() * 3, instance, () => {
      this.#flushing = false;
      if (instance !== this.#instance) return;
      this.#durable = instance.port.inner.serialize();
      this.#durableWrites = instance.port.writes;
      const leaving = this.#gated.filter(({ after }) => after <= this.#durableWrites);
      this.#gated = this.#gated.filter(({ after }) => after > this.#durableWrites);
      for (const { leave } of leaving) leave();
      if (this.#gated.length > 0) this.#flush(instance);
    });
  }

  #setAlarm(instance: Instance, at: number): void {
    const { loop } = this.#options;
    this.#alarmAt = at;
    // By the host's own clock.
    const delay = at - (loop.unixMs + instance.clockOffsetMs);
    loop.schedule(Math.max(0, delay), ANYBODY, () => this.#ring(at));
  }

  #ring(at: number): void {
    if (this.#alarmAt !== at) return;
    const { loop } = this.#options;
    const instance = this.#instance;
    this.#alarmAt = null;
    loop.schedule(0, instance, () => {
      instance.server.alarm().catch(() => {
        // The platform tries again: https://developers.cloudflare.com/durable-objects/api/alarms/.
        if (this.#alarmAt === null) this.#setAlarm(this.#instance, at + 2_000);
      });
    });
    // At least once.
    if (this.#random.chance(0.1))
      loop.schedule(
        this.#random.below(50),
        instance,
        () => void instance.server.alarm().catch(() => undefined),
      );
  }

  /** Memory is gone, and what was not durable yet. `durable`: an eviction, which waits for the disk. */
  crash(durable: boolean): void {
    const instance = this.#instance;
    instance.alive = false;
    const image = durable ? instance.port.inner.serialize() : this.#durable;
    instance.port.superseded = true;
    instance.port.broken = true;
    instance.port.inner.close();
    for (const fail of instance.callers) fail();
    this.#restart(image);
  }

  /** Another instance starts while this one still runs and does not know: it may touch no storage any more. */
  supersede(): void {
    const instance = this.#instance;
    const image = instance.port.inner.serialize();
    instance.port.superseded = true;
    this.#restart(image);
  }

  #restart(image: Uint8Array): void {
    this.#gated = [];
    this.#flushing = false;
    this.#durable = image;
    // What an instance writes as it starts is no more durable than anything else.
    this.#durableWrites = 0;
    this.#instance = this.#start(new NodeSqlitePort(':memory:', { ...MEMORY, image }));
    // An alarm that was set is in the file.
    if (this.#alarmAt !== null) this.#setAlarm(this.#instance, this.#alarmAt);
    this.#options.restarted(this);
  }

  /** When the run is over. */
  close(): void {
    const { port } = this.#instance;
    if (!port.broken) port.inner.close();
  }
}

const ANYBODY: Actor = { name: 'the platform', clockOffsetMs: 0, alive: true };
