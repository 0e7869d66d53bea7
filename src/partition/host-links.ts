import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { removeFollower } from '../core/replica/followers.ts';
import type { Replica } from '../core/replica/replica.ts';
import { AtollError } from '../protocol/error.ts';
import type { HostCheck, HostCheckReply } from '../protocol/hosts.ts';
import { CarriedCall } from '../protocol/link.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../protocol/rpc.ts';
import type { Accepted, Acceptor } from '../rpc/accept.ts';
import type { HostKey } from '../rpc/host-key.ts';
import type { CallHandler, EventHandler, Link, LinkHandlers, Message } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';
import { importSecret, type Secret } from '../rpc/secret.ts';
import { ComparisonDesk } from './comparison-desk.ts';
import { LogShipper } from './log-shipper.ts';
import type { Peers } from './surroundings.ts';

/** How long a host counts as a member after the system partition has said so, ms (chosen: a removed one is out as soon). */
const MEMBER_MS = 10_000;
/** What the database's other partitions and its own host tell a partition, and nobody who comes over a link. */
const FROM_WITHIN: ReadonlySet<string> = new Set([
  'prepare',
  'prepare-groups',
  'prepare-many',
  'transaction-end',
  'transaction-ends',
  'transaction-state',
  'create',
  'feed',
  'freeze',
  'thaw',
  'freezes',
  'schema-check',
  'index-fill',
  'schema-fate',
  'host-check',
  'host-removed',
  'leader-name',
]);

/** What the system partition adds: hosts join there, and are heard from. */
export interface HostDesk {
  readonly calls: (link: () => Link, accepted: Accepted) => Readonly<Record<string, CallHandler>>;
  check(request: HostCheck): HostCheckReply;
  opened(link: Link, accepted: Accepted): void;
  ended(link: Link): void;
}

export interface HostLinksOptions {
  readonly secret: string | undefined;
  /** See Surroundings. */
  readonly key: HostKey | null;
  readonly peers: Peers;
  readonly replica: () => Replica | null;
  /** Null in any other partition than the system partition. */
  readonly desk: () => HostDesk | null;
  /** This partition's own messages. */
  readonly serve: (request: Request) => Promise<Response>;
}

/** The links of hosts to this partition: what hosts may ask over them, and the log that goes out. */
export class HostLinks {
  readonly #options: HostLinksOptions;
  readonly #links = new Map<string, Link>();
  readonly #shipper: LogShipper;
  readonly #comparisons: ComparisonDesk;
  /** Hosts whose membership is being looked up. */
  readonly #lookingUp = new Set<string>();
  readonly #members = new Map<string, { readonly publicKey: string; readonly until: number }>();
  #secret: Promise<Secret> | null = null;

  constructor(options: HostLinksOptions) {
    this.#options = options;
    this.#shipper = new LogShipper(() => this.#replica);
    this.#comparisons = new ComparisonDesk(() => this.#replica);
  }

  /** `woken`: it was open before this instance was. */
  opened(link: Link, accepted: Accepted, woken: boolean): void {
    this.#links.set(accepted.host, link);
    this.#options.desk()?.opened(link, accepted);
    if (woken) this.#shipper.resume(link);
  }

  ended(link: Link): void {
    if (this.#links.get(link.peer.host) === link) this.#links.delete(link.peer.host);
    this.#shipper.forget(link);
    this.#options.desk()?.ended(link);
  }

  /** The host is no member any more: it gets nothing, and the log does not wait for it. */
  removed(host: string): void {
    this.#members.delete(host);
    removeFollower(this.#replica.port, host);
    this.#shipper.dismiss(host);
  }

  get shipper(): LogShipper {
    return this.#shipper;
  }

  get #replica(): Replica {
    const replica = this.#options.replica();
    if (replica === null) throw new AtollError('not-found', 'there is no data here');
    return replica;
  }

  /** Null while nobody is taken: there is no secret, or no data. */
  async acceptor(): Promise<Acceptor | null> {
    const { secret, key } = this.#options;
    const replica = this.#options.replica();
    if (secret === undefined || secret === '' || replica === null) return null;
    this.#secret ??= importSecret(secret);
    const { database, history } = replica.identity;
    return { key, secret: await this.#secret, database, history };
  }

  handlers(accepted: Accepted): LinkHandlers {
    const link = (): Link => {
      const own = this.#links.get(accepted.host);
      if (own === undefined) throw new AtollError('unavailable', 'the link is closed');
      return own;
    };
    const forMembers = (handler: CallHandler): CallHandler => {
      return async (message, from, deadline) => {
        await this.#checkMember(accepted);
        return handler(message, from, deadline);
      };
    };
    const following = Object.entries({ ...this.#shipper.calls(link), ...this.#comparisons.calls });
    const desk = this.#options.desk()?.calls(link, accepted) ?? {};
    return {
      calls: {
        ...Object.fromEntries(following.map(([type, handler]) => [type, forMembers(handler)])),
        ...desk,
      },
      anyCall: async (type, message, _, deadline) => {
        await this.#checkMember(accepted);
        return this.#carried(type, message, deadline);
      },
      events: Object.fromEntries(
        Object.entries(this.#shipper.events(link)).map(([type, handler]) => [
          type,
          this.#whileMember(accepted, handler),
        ]),
      ),
    };
  }

  /** A host that is removed gets no more than is on its way to it: what it confirms has it looked up again. */
  #whileMember(accepted: Accepted, handler: EventHandler): EventHandler {
    const { host } = accepted;
    return (message, from) => {
      handler(message, from);
      const until = this.#members.get(host)?.until ?? 0;
      if (until > Date.now() || this.#lookingUp.has(host)) return;
      this.#lookingUp.add(host);
      this.#checkMember(accepted)
        // It is removed by then; where the system partition does not answer, the host is what it was.
        .catch((error: unknown) => console.debug(`host ${host}: ${String(error)}`))
        .finally(() => this.#lookingUp.delete(host));
    };
  }

  /** A message as routers send it, from a host's router. */
  async #carried(type: string, { head, data }: Message, deadline: number): Promise<Message> {
    if (FROM_WITHIN.has(type)) throw new AtollError('forbidden', `no host sends '${type}'`, 'none');
    const { traceparent = '' } = readHead(CarriedCall, type, head);
    const request = new Request(`http://partition/${encodeURIComponent(type)}`, {
      method: 'POST',
      headers: {
        [RPC_HEADER]: String(RPC_VERSION),
        [TRACE_HEADER]: traceparent,
        [DEADLINE_HEADER]: String(deadline),
      },
      body: data as Uint8Array<ArrayBuffer>,
    });
    const response = await this.#options.serve(request);
    return { head: { status: response.status }, data: new Uint8Array(await response.arrayBuffer()) };
  }

  /** Whoever has the secret may propose itself; members alone see and do anything. */
  async #checkMember({ host, publicKey }: Accepted): Promise<void> {
    const known = this.#members.get(host);
    if (known !== undefined && known.publicKey === publicKey && known.until > Date.now()) return;
    const request: HostCheck = { host, publicKey };
    const desk = this.#options.desk();
    const { database } = this.#replica.identity;
    const { member, status } =
      desk?.check(request) ??
      (await this.#options.peers.call<HostCheckReply>(database, SYSTEM_PARTITION, 'host-check', request));
    if (!member) {
      // The log waits for members only.
      this.removed(host);
      throw new AtollError(
        'forbidden',
        `host ${host} is no member of this cluster: its status is ${status}`,
        'none',
      );
    }
    this.#members.set(host, { publicKey, until: Date.now() + MEMBER_MS });
  }
}
