import type { WebSocket } from 'ws';
import type { PartitionId } from '../../base/brand.ts';
import { PartitionServer } from '../../partition/partition-server.ts';
import type { Peers } from '../../partition/surroundings.ts';
import { linkClose } from '../../protocol/link.ts';
import type { SessionSeal } from '../../protocol/session-seal.ts';
import { HandshakeError } from '../../rpc/handshake.ts';
import type { HostKey } from '../../rpc/host-key.ts';
import { acceptLink } from '../links/accept.ts';
import type { OpenLink } from '../links/open-link.ts';
import { causeOf, type LogEvent, messageOf } from '../log.ts';
import { NodeSqlitePort } from '../sqlite-port.ts';

/** When an alarm whose work has failed rings again, ms (chosen: what the runtime of Durable Objects begins with). */
const ALARM_AGAIN_MS = 2_000;

export interface LedPartitionOptions {
  readonly partition: PartitionId;
  readonly file: string;
  readonly key: HostKey;
  /** The cluster's; undefined: no host is let in. */
  readonly secret: string | undefined;
  readonly seal: SessionSeal;
  readonly peers: Peers;
  readonly log: LogEvent;
}

/** A server and the file that it has open. After a defect another one takes its place. */
interface Instance {
  readonly port: NodeSqlitePort;
  readonly server: PartitionServer;
}

/** One partition that this host leads: its server over its file, its alarm, and the links of the hosts that follow it. */
export class LedPartition {
  readonly partition: PartitionId;
  readonly #options: LedPartitionOptions;
  readonly #links = new Map<string, OpenLink>();
  #instance: Instance | null = null;
  #alarm: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  constructor(options: LedPartitionOptions) {
    this.partition = options.partition;
    this.#options = options;
  }

  get server(): PartitionServer {
    return this.#open().server;
  }

  get port(): NodeSqlitePort {
    return this.#open().port;
  }

  /** Hosts that have a link. */
  get followers(): number {
    return this.#links.size;
  }

  /**
   * Does what an alarm is for. Alarms live as long as the process: so a start begins with it, and whoever wants another one
   * says so then.
   */
  ring(): void {
    this.#alarm = null;
    const work = async (): Promise<void> => this.server.alarm();
    work().catch((error: unknown) => {
      this.#options.log('error', 'alarm-failed', { partition: this.partition, cause: causeOf(error) });
      this.#setAlarm(Date.now() + ALARM_AGAIN_MS);
    });
  }

  /** A host has opened a socket; it has proved nothing yet. Resolves when it has gone, or was not let in. */
  async accept(socket: WebSocket): Promise<void> {
    const { partition } = this;
    const { log } = this.#options;
    try {
      const { server } = this;
      const { links } = server;
      // The other side speaks first, and nobody listens yet.
      socket.pause();
      const acceptor = await links.acceptor();
      socket.resume();
      if (acceptor === null) {
        socket.close(
          linkClose.notAuthentic,
          'this host takes no others: it was started without ATOLL_SECRET',
        );
        return;
      }
      const { open, accepted } = await acceptLink(socket, acceptor, (who) => links.handlers(who), log);
      const { host } = accepted;
      if (this.#instance?.server !== server) {
        open.close(linkClose.superseded, 'the partition starts again');
        return;
      }
      this.#links.get(host)?.close(linkClose.superseded, 'the host has opened a new link');
      this.#links.set(host, open);
      links.opened(open.link, accepted, false);
      log('info', 'link-accepted', { host, partition });
      const reason = await open.closed;
      if (this.#links.get(host) === open) this.#links.delete(host);
      links.ended(open.link);
      log('info', 'link-ended', { host, partition, reason });
    } catch (error) {
      if (error instanceof HandshakeError) {
        log('warn', 'link-not-accepted', { partition, message: messageOf(error) });
        return;
      }
      socket.terminate();
      log('error', 'link-failed', { partition, cause: causeOf(error) });
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#alarm !== null) clearTimeout(this.#alarm);
    this.#end();
  }

  #open(): Instance {
    if (this.#closed) throw new Error(`partition ${this.partition} is closed`);
    if (this.#instance !== null) return this.#instance;
    const { file, key, secret, seal, peers } = this.#options;
    const port = new NodeSqlitePort(file);
    const server = new PartitionServer({
      port,
      peers,
      secret,
      seal,
      key,
      // Every transaction is on disk when it ends (synchronous=FULL). Whatever has arrived meanwhile forms the next group.
      durable: () => new Promise((resolve) => setImmediate(resolve)),
      setAlarm: (at) => this.#setAlarm(at),
      pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
      abandon: () => setImmediate(() => this.#abandon(port)),
    });
    this.#instance = { port, server };
    return this.#instance;
  }

  /** Not before the answer that says so has left; an instance that is gone already may still fail. */
  #abandon(port: NodeSqlitePort): void {
    if (this.#instance?.port !== port || this.#closed) return;
    this.#options.log('error', 'partition-abandoned', { partition: this.partition });
    this.#end();
    // Whoever waits for the former one's alarm gets it from the next.
    this.#setAlarm(Date.now());
  }

  #end(): void {
    for (const open of this.#links.values()) open.close(linkClose.superseded, 'the partition starts again');
    this.#links.clear();
    this.#instance?.server.links.shipper.stop();
    this.#instance?.port.close();
    this.#instance = null;
  }

  #setAlarm(at: number): void {
    if (this.#closed) return;
    if (this.#alarm !== null) clearTimeout(this.#alarm);
    this.#alarm = setTimeout(() => this.ring(), Math.max(0, at - Date.now()));
  }
}
