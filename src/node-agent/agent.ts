import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { createGateway } from '../gateway/app.ts';
import { DEFAULT_DATABASE } from '../gateway/path.ts';
import { AtollError, encodeError } from '../protocol/error.ts';
import { hostMessage } from '../protocol/hosts.ts';
import { linkClose } from '../protocol/link.ts';
import { SessionSeal } from '../protocol/session-seal.ts';
import type { Accepted } from '../rpc/accept.ts';
import type { ClockSkew } from '../rpc/clock-skew.ts';
import type { Dialler } from '../rpc/dial.ts';
import type { HandshakeError } from '../rpc/handshake.ts';
import { generateHostKey, type HostKey, importHostKey } from '../rpc/host-key.ts';
import type { LinkHandlers } from '../rpc/link.ts';
import { importSecret, type Secret } from '../rpc/secret.ts';
import { AgentError } from './agent-error.ts';
import { agentMetrics } from './agent-metrics.ts';
import { AgentTransport } from './agent-transport.ts';
import { DataDirectory, type HostRecord } from './data-directory.ts';
import { type HttpServer, type HttpServerOptions, startHttpServer } from './http-server.ts';
import { refuseIfLeading } from './leading/leadership.ts';
import { acceptLink } from './links/accept.ts';
import type { DialledLink } from './links/dial.ts';
import type { OpenLink } from './links/open-link.ts';
import { type LogEvent, messageOf } from './log.ts';
import { measureCpu } from './measures.ts';
import { Membership } from './membership.ts';
import { Neighbours } from './peers/neighbours.ts';
import { Replicas } from './replicas.ts';
import { COMPARE_MS } from './replication/comparisons.ts';
import { Serving } from './serving.ts';
import { Storage } from './storage/storage.ts';

export interface AgentOptions {
  /** Base URLs of the edge. */
  readonly seeds: readonly string[];
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly tls: HttpServerOptions['tls'];
  /** What people call this host; null: as before, or by its id. */
  readonly name: string | null;
  /** Base URL where others reach it; null: nobody does, or where it listens, if that says so. */
  readonly address: string | null;
  /** The cluster's. */
  readonly secret: string;
  /** The static admin token. */
  readonly token: string | null;
  readonly log: LogEvent;
  /** How often each replica is compared with its leader's, ms; left out: every six hours. */
  readonly compareMs?: number;
  readonly onStage: (stage: AgentStage) => void;
}

/** What its operator sees of an agent that starts. */
export type AgentStage =
  | { readonly kind: 'proposed'; readonly host: string; readonly proposal: number | null }
  | { readonly kind: 'unreached'; readonly message: string }
  | { readonly kind: 'turned-away'; readonly message: string }
  | { readonly kind: 'accepted'; readonly status: string };

/** Sockets whose other side has not proved who it is (chosen: what strangers can make an agent hold). */
const STRANGERS_MAX = 64;

/** A node agent: replicas on this machine, their links, the public API, and this host's membership. */
export class Agent {
  readonly url: string;
  /** Whether the host was a member of the cluster before this start. */
  readonly wasMember: boolean;
  /** Rejects with an AgentError when the host can never be a member as it is. */
  readonly failed: Promise<never>;
  readonly replicas: Replicas;
  readonly #options: AgentOptions;
  readonly #directory: DataDirectory;
  readonly #server: HttpServer;
  readonly #storage: Storage;
  readonly #membership: Membership;
  readonly #serving: Serving;
  readonly #neighbours: Neighbours;
  readonly #key: HostKey;
  readonly #secret: Secret;
  readonly #fail: (error: AgentError) => void;
  #clockOff: ClockSkew | null = null;
  #strangers = 0;
  /** Of the cluster, as its system partition has proved it. */
  #history: string | null = null;

  private constructor(options: AgentOptions, parts: AgentParts) {
    const { directory, record, key, secret, storage, server, cpuRating } = parts;
    this.#options = options;
    this.#directory = directory;
    this.#server = server;
    this.#storage = storage;
    this.#key = key;
    this.#secret = secret;
    this.url = server.url;
    this.wasMember = record.cluster !== null;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.failed = promise;
    this.#fail = reject;
    const { log } = options;
    this.replicas = new Replicas({
      database: DEFAULT_DATABASE,
      directory,
      storage,
      log,
      compareMs: options.compareMs ?? COMPARE_MS,
      seeds: options.seeds,
      dialler: () => this.#dialler(),
      handlers: (partition) => this.#handlers(partition),
      onControl: (link) => this.#control(link),
      onRefused: (error) => this.#refused(error),
      onUnreached: (message) => options.onStage({ kind: 'unreached', message }),
    });
    const systemCopy = () => this.replicas.copy(DEFAULT_DATABASE, SYSTEM_PARTITION);
    this.#neighbours = new Neighbours({
      host: key.host,
      directory: directory.path,
      history: record.cluster?.history ?? null,
      dialler: () => this.#dialler(),
      handlers: (host) => this.#serving.peer(host, SYSTEM_PARTITION),
      control: () => this.#controlLink(),
      systemCopy,
      readNetwork: (copy) => transport.answer(copy, 'network', ''),
      log,
    });
    const transport = new AgentTransport(this.replicas, storage, log, this.#neighbours);
    this.#serving = new Serving({
      directory: directory.path,
      transport,
      copy: (partition) => this.replicas.copy(DEFAULT_DATABASE, partition),
      status: () => this.#membership.status,
      refusal: () => this.#clockRefusal(),
      neighbours: this.#neighbours,
    });
    this.#membership = new Membership({
      directory: directory.path,
      replicas: this.replicas,
      log,
      offer: {
        host: key.host,
        name: record.name,
        publicKey: key.publicKey,
        addresses: this.#addresses(),
        database: DEFAULT_DATABASE,
        cpuRating,
      },
      dialler: () => this.#dialler(),
      latencies: () => this.#neighbours.latencies,
      onProposed: (proposal) => options.onStage({ kind: 'proposed', host: key.host, proposal }),
      onTurnedAway: (message) => options.onStage({ kind: 'turned-away', message }),
      onMember: (status) => this.#member(status),
      onFatal: (error) => this.#fail(error),
    });
    const gateway = createGateway({
      transport,
      staticToken: options.token,
      seal: new SessionSeal(options.secret),
      corsOrigins: [],
      moreMetrics: () => agentMetrics(this.replicas, transport.counts),
    });
    parts.serve.fetch = (request) => {
      const refusal = this.#clockRefusal();
      return refusal === null ? gateway.fetch(request) : errorResponse(refusal);
    };
    parts.serve.onLink = (socket, partition) => void this.#accept(socket, partition);
  }

  /** Opens the data directory and the port, and begins to join. Error: AgentError for what its operator must change. */
  static async start(options: AgentOptions): Promise<Agent> {
    const directory = DataDirectory.open(options.data);
    const storage = new Storage(options.log, { sealSecret: options.secret });
    try {
      await refuseIfLeading(directory);
      const record = await recordOf(directory, options.name);
      const [key, secret] = await Promise.all([importHostKey(record.key), importSecret(options.secret)]);
      const cpuRating = measureCpu();
      // The server must know its port before the agent can say where it is.
      const serve: AgentParts['serve'] = { fetch: starting, onLink: (socket) => socket.close(1013) };
      const { host, port, tls } = options;
      const server = await startHttpServer({
        host,
        port,
        tls,
        fetch: (request) => serve.fetch(request),
        onLink: (socket, partition) => serve.onLink(socket, partition),
      });
      const agent = new Agent(options, { directory, record, key, secret, storage, server, cpuRating, serve });
      options.log('info', 'started', {
        host: key.host,
        name: record.name,
        url: server.url,
        data: directory.path,
        cpuRating,
      });
      directory.announce(server.url);
      await agent.replicas.start();
      await agent.#neighbours.start();
      return agent;
    } catch (error) {
      await storage.close();
      directory.close();
      throw error;
    }
  }

  get host(): string {
    return this.#key.host;
  }

  /** Ends what was begun, closes files and links. */
  async stop(): Promise<void> {
    this.#options.log('info', 'stopping');
    await this.#server.close();
    this.#neighbours.stop();
    await this.replicas.stop();
    await this.#storage.close();
    this.#directory.close();
    this.#options.log('info', 'stopped');
  }

  #dialler(): Dialler {
    const history = this.#directory.host?.cluster?.history ?? null;
    const [address = null] = this.#addresses();
    return {
      key: this.#key,
      secret: this.#secret,
      database: DEFAULT_DATABASE,
      history,
      address,
      expects: null,
    };
  }

  /** Where it listens is where others reach it, if that is no wildcard, and loopback only for a cluster on this machine. */
  #addresses(): string[] {
    const { address, host, seeds } = this.#options;
    if (address !== null) return [address];
    if (host === '0.0.0.0' || host === '::') return [];
    return isLoopback(host) && !seeds.every((seed) => isLoopback(new URL(seed).hostname))
      ? []
      : [this.#server.url];
  }

  #controlLink(): OpenLink | null {
    return this.replicas.links.find(([each]) => each === SYSTEM_PARTITION)?.[1] ?? null;
  }

  #handlers(partition: PartitionId): LinkHandlers {
    const isControl = partition === SYSTEM_PARTITION;
    const voteRequest: LinkHandlers['events'][string] = (message) => {
      const open = this.#controlLink();
      if (open !== null) void this.#membership.vote(message, open.link).catch(this.#report('vote'));
    };
    return {
      calls: this.#serving.atEdge,
      events: isControl ? { [hostMessage.voteRequest]: voteRequest } : {},
    };
  }

  #control({ open, dialled, skew }: DialledLink): void {
    this.#judgeClock(skew);
    const { history } = dialled;
    if (history === null) return;
    this.#history = history;
    try {
      this.#directory.checkCluster({ database: DEFAULT_DATABASE, history });
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.#fail(error);
      return;
    }
    const isEmpty = this.replicas.copies.every(({ position }) => position === null);
    void this.#membership.attend(open, isEmpty ? null : history).catch(this.#report('membership'));
  }

  #member(status: string): void {
    const own = this.#directory.host;
    const history = this.#history;
    if (own !== null && own.cluster === null && history !== null)
      this.#directory.setHost({ ...own, cluster: { database: DEFAULT_DATABASE, history } });
    this.#options.onStage({ kind: 'accepted', status });
  }

  #judgeClock(skew: ClockSkew): void {
    if (skew.isTooFar) {
      this.#options.log('error', 'clock-off', { offsetMs: skew.offsetMs, uncertaintyMs: skew.uncertaintyMs });
    }
    this.#clockOff = skew.isTooFar ? skew : null;
  }

  /** Null: it serves. Metrics tell why it does not. */
  #clockRefusal(): AtollError | null {
    const skew = this.#clockOff;
    if (skew === null) return null;
    const seconds = Math.round(Math.abs(skew.offsetMs) / 1000);
    return new AtollError(
      'unavailable',
      `this host's clock is ${seconds} s away from the cluster's: it serves when it is set right`,
      'none',
    );
  }

  #refused(error: HandshakeError): void {
    // A member goes on serving what it has; a newcomer has nothing, and its operator is there.
    if (this.wasMember && error.closeCode !== linkClose.otherHistory) return;
    this.#fail(refusalOf(error, this.#directory));
  }

  async #accept(socket: Parameters<HttpServerOptions['onLink']>[0], partition: PartitionId): Promise<void> {
    if (this.#strangers >= STRANGERS_MAX) {
      socket.close(linkClose.slow, 'too many are waiting to be let in');
      return;
    }
    this.#strangers++;
    const { log } = this.#options;
    try {
      const history = this.#directory.host?.cluster?.history ?? null;
      const acceptor = { key: this.#key, secret: this.#secret, database: DEFAULT_DATABASE, history };
      const handlers = ({ host }: Accepted) => this.#serving.peer(host, partition);
      const { open, accepted } = await acceptLink(socket, acceptor, handlers, log);
      this.#neighbours.accepted(open);
      log('info', 'link-accepted', { host: accepted.host, partition });
    } catch (error) {
      log('warn', 'link-not-accepted', { partition, message: messageOf(error) });
    } finally {
      this.#strangers--;
    }
  }

  #report(what: string): (error: unknown) => void {
    return (error) => this.#options.log('error', `${what}-failed`, { message: messageOf(error) });
  }
}

interface AgentParts {
  readonly directory: DataDirectory;
  readonly record: HostRecord;
  readonly key: HostKey;
  readonly secret: Secret;
  readonly storage: Storage;
  readonly server: HttpServer;
  readonly cpuRating: number;
  /** What the server does, once the agent is made. */
  readonly serve: { fetch: HttpServerOptions['fetch']; onLink: HttpServerOptions['onLink'] };
}

/** Who this host is: as its directory says, or new. */
async function recordOf(directory: DataDirectory, name: string | null): Promise<HostRecord> {
  const { host } = directory;
  if (host === null) {
    const key = await generateHostKey();
    directory.setHost({ key, name: name ?? (await importHostKey(key)).host, cluster: null });
  } else if (name !== null && name !== host.name) directory.setHost({ ...host, name });
  const { host: record } = directory;
  if (record === null) throw new Error('a record that was just set');
  return record;
}

function refusalOf(error: HandshakeError, directory: DataDirectory): AgentError {
  switch (error.closeCode) {
    case linkClose.notAuthentic:
      return new AgentError(
        `the cluster does not take this host: ${error.message}`,
        'set ATOLL_SECRET to the secret of the cluster',
      );
    case linkClose.version:
      return new AgentError(error.message, 'run the same version of Atoll on all hosts');
    default:
      return new AgentError(
        `the data directory ${directory.path} belongs to another cluster: ${error.message}`,
        'join the cluster it belongs to, or choose an empty directory with --data',
      );
  }
}

function starting(): Response {
  return errorResponse(new AtollError('unavailable', 'the agent is starting', 'none'));
}

function errorResponse(error: AtollError): Response {
  const { status, body, retryAfterSeconds } = encodeError(error);
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (retryAfterSeconds !== null) headers['retry-after'] = String(retryAfterSeconds);
  return new Response(body, { status, headers });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\./.test(host);
}
