import { AutoRouter, type IRequest } from 'itty-router';
import type { TableId } from '../base/brand.ts';
import { EDGE } from '../core/network/votes.ts';
import { certify } from '../core/replica/certify.ts';
import { exportPage } from '../core/replica/export.ts';
import { readFeed } from '../core/replica/feed.ts';
import type { Work } from '../core/replica/group.ts';
import type { Identity } from '../core/replica/identity.ts';
import { lookUp } from '../core/replica/lookup.ts';
import type { ExecuteOutcome } from '../core/replica/outcome.ts';
import { referenceTables, yetToWrite } from '../core/replica/reference-tables.ts';
import { Replica } from '../core/replica/replica.ts';
import { findAnswer } from '../core/replica/requests.ts';
import { PARTITIONS_MAX, System } from '../core/replica/system.ts';
import type { CertifyRequest } from '../protocol/certify.ts';
import { AtollError, toAtollError } from '../protocol/error.ts';
import { type AnsweredRequest, type ExecuteRequest, isPresentRead } from '../protocol/execute.ts';
import type { Feed } from '../protocol/feed.ts';
import type { Freeze, Thaw } from '../protocol/freeze.ts';
import type { HostCheck, HostRemoved } from '../protocol/hosts.ts';
import type { FoundRequest } from '../protocol/network.ts';
import type { RestoreEnd, RestoreMessage, RestoreSchema } from '../protocol/restore.ts';
import { DEADLINE_HEADER, isSpoken, RPC_HEADER, unspoken } from '../protocol/rpc.ts';
import type { SchemaCheck, SchemaFate } from '../protocol/schema.ts';
import type { TokenRecord } from '../protocol/token.ts';
import { type AlarmReason, Alarms } from './alarms.ts';
import { Coordinator } from './coordinator.ts';
import { type AtOnce, executeMany } from './execute-many.ts';
import { ExecutionQueue } from './execution-queue.ts';
import { FeedFollower } from './feed-follower.ts';
import { ForeignKeys } from './foreign-keys.ts';
import { Forgetting } from './forgetting.ts';
import { HostLinks } from './host-links.ts';
import { HostRegistry } from './host-registry.ts';
import { ImportDesk } from './import-desk.ts';
import { inDoubtIn } from './in-doubt.ts';
import { IndexFill } from './index-fill.ts';
import { InteractiveDesk } from './interactive-desk.ts';
import { LockWaits } from './lock-waits.ts';
import { networkReply } from './network-reply.ts';
import type { Settled } from './prepare-here.ts';
import { errorResponse, JSON_HEADERS, outcomeResponse } from './response.ts';
import { RestoreDesk } from './restore-desk.ts';
import { type Settling, settling } from './settling.ts';
import { statusOf } from './status.ts';
import type { Surroundings } from './surroundings.ts';
import { TransactionDesk } from './transaction-desk.ts';
import { Transactions } from './transactions.ts';

/**
 * One partition, on whatever host leads it: takes messages, and has its Replica do the work synchronously. Requests and responses
 * are those of fetch, so that an object's own carry them as they are.
 */
export class PartitionServer {
  readonly #surroundings: Surroundings;
  readonly #queue: ExecutionQueue;
  readonly #foreignKeys: ForeignKeys;
  readonly #feed: FeedFollower;
  readonly #alarms: Alarms;
  readonly #forgetting = new Forgetting(
    () => this.#here,
    () => this.#coordinator?.confirmed ?? null,
  );
  readonly #links: HostLinks;
  readonly #transactions: Transactions;
  readonly #desk: TransactionDesk;
  readonly #locks: LockWaits;
  readonly #settle: Settling;
  #registry: HostRegistry | null = null;
  #replica: Replica | null;
  #system: System | null = null;
  #coordinator: Coordinator | null = null;
  readonly #router = AutoRouter({
    catch: (error: unknown): Response => this.#failed(error),
    missing: () => errorResponse(new AtollError('not-found', 'no such message')),
  });

  constructor(surroundings: Surroundings) {
    const { port, peers, secret, key } = surroundings;
    this.#surroundings = surroundings;
    this.#alarms = new Alarms(surroundings.setAlarm);
    this.#locks = new LockWaits(() => this.#here, surroundings.pause);
    this.#feed = new FeedFollower(() => this.#here, surroundings, this.#locks);
    this.#foreignKeys = new ForeignKeys(surroundings);
    this.#settle = settling(() => this.#here, this.#feed, this.#locks, this.#foreignKeys);
    this.#replica = this.#sealing(Replica.open(port));
    if (this.#replica?.isSystem) this.#serveSystem(System.open(this.#replica));
    else if (this.#replica !== null) this.#feed.copies.start(this.#replica);
    this.#links = new HostLinks({
      secret,
      key,
      peers,
      replica: () => this.#replica,
      desk: () => this.#registry,
      serve: (request) => this.fetch(request),
    });
    this.#queue = new ExecutionQueue((works) => {
      const held = this.#here.locks.size;
      const outcomes = this.#here.perform(works, Date.now());
      if (this.#here.locks.size < held) this.#locks.changed();
      this.#links.shipper.grown();
      this.#forgetting.written(works.length);
      return outcomes;
    }, surroundings.durable);
    this.#transactions = new Transactions({
      replica: () => this.#here,
      peers,
      feed: this.#feed,
      attempt: (work) => (this.#foreignKeys.off ? null : this.#queue.run(work)),
      perform: (work, deadline) => this.#perform(work, deadline),
      coalescing: surroundings.coalescing,
      wantSettling: (at) => this.#alarms.want('settle', at),
      pause: surroundings.pause,
    });
    const coordinator = () => this.#coordinator;
    this.#desk = new TransactionDesk(this.#transactions, () => this.#here, coordinator);
    if (this.#replica !== null) this.#transactions.wake(Date.now());
    this.#route();
  }

  #serveSystem(system: System): Coordinator {
    this.#system = system;
    this.#replica = this.#sealing(system.replica);
    const wants = (reason: AlarmReason) => (at: number) => this.#alarms.want(reason, at);
    this.#coordinator = new Coordinator(system, this.#surroundings, wants('deliver'), wants('build'));
    this.#registry = new HostRegistry(system, wants('watch'), () => this.#links.shipper.grown());
    return this.#coordinator;
  }

  #route(): void {
    const messages: Record<string, (body: never, version: number) => unknown> = {
      create: (body: { identity: Identity }) => this.#create(body.identity),
      feed: (body: Feed) => this.#feed.follow(body),
      'feed-read': (body: { from: number }, version) => readFeed(this.#here, body.from, version),
      freeze: (body: Freeze) => this.#feed.freeze(body),
      thaw: (body: Thaw) => this.#feed.copies.thaw(body.names),
      freezes: () => this.#coordinating.references.freezes(),
      ...this.#desk.messages,
      'schema-check': (body: SchemaCheck) => this.#feed.check(body),
      'schema-fate': (body: SchemaFate) => this.#feed.learnFate(body),
      'schema-state': (body: { proposal: number }) => this.#coordinating.fateOf(body.proposal),
      'index-builds': () => this.#coordinating.builds(),
      found: (body: FoundRequest) => this.#found(body),
      network: () => networkReply(this.#asSystem),
      setting: (body: { name: string }) => ({ value: this.#asSystem.setting(body.name) }),
      tokens: () => this.#asSystem.tokens(),
      'token-made': (body: TokenRecord) => this.#asSystem.recordToken(body, Date.now()),
      'token-revoke': (body: { id: string }) => ({
        revoked: this.#asSystem.revokeToken(body.id, Date.now()),
      }),
      status: () => statusOf(this.#here, inDoubtIn(this.#here), this.#forgetting.needed),
      retention: (body: Parameters<Coordinator['retention']>[0]) => this.#coordinating.retention(body),
      hosts: () => this.#hosts.view(),
      'leader-name': ({ name }: { name: string }) => this.#hosts.nameLeader(name),
      'host-check': (body: HostCheck) => this.#hosts.check(body),
      'host-accept': ({ host }: { host: string }) => this.#hosts.decide('accept', host),
      'host-refuse': ({ host }: { host: string }) => this.#hosts.decide('refuse', host),
      'host-drain': ({ host }: { host: string }) => this.#hosts.decide('drain', host),
      'host-remove': ({ host }: { host: string }) => {
        const view = this.#hosts.decide('remove', host);
        void this.#coordinating.tellRemoved(host);
        return view;
      },
      'host-removed': ({ host }: HostRemoved) => this.#links.removed(host),
      'restore-begin': (body: RestoreMessage) => this.#coordinating.beginRestore(body.id),
      'restore-alive': (body: RestoreMessage) => this.#coordinating.keepRestore(body.id),
      'restore-schema': (body: RestoreSchema) => this.#coordinating.changeSchema(body.statements, 0, body.id),
      'restore-end': (body: RestoreEnd) => this.#coordinating.endRestore(body.id, body.publish),
    };
    this.#router.post('/answered', (request: IRequest) => this.#answered(request));
    this.#router.post('/schema-change', (request: IRequest) => this.#coordinating.serveChange(request));
    this.#router.post('/transact(-groups)?', (request: IRequest) => this.#desk.transact(request));
    this.#router.post('/prepare(-groups)?', (request: IRequest) => this.#desk.prepare(request));
    this.#router.post('/prepare-many', (request: IRequest) => this.#desk.prepareMany(request));
    const desk = {
      peers: this.#surroundings.peers,
      pause: this.#surroundings.pause,
      replica: () => this.#here,
      transactions: this.#transactions,
      foreignKeys: this.#foreignKeys,
      perform: (work: Work, deadline: number) => this.#perform(work, deadline),
      answer: (incoming: Request, writes: boolean, attempt: () => Promise<ExecuteOutcome>) =>
        this.#answer(incoming, writes ? [] : null, attempt),
      inserted: () => this.#forgetting.inserted(),
    };
    const interactive = new InteractiveDesk(desk);
    interactive.serve((path, handle) => this.#router.post(path, handle));
    const restore = new RestoreDesk(desk);
    const imports = new ImportDesk({
      ...desk,
      answer: (incoming, attempt) => this.#answer(incoming, referenceTables(this.#here), attempt),
    });
    const fill = new IndexFill(desk);
    this.#router.post('/index-fill', (request: IRequest) => fill.serve(request));
    this.#router.post('/restore-chunk', (request: IRequest) => restore.chunk(request));
    this.#router.post('/restore-ids', (request: IRequest) => restore.ids(request));
    this.#router.post('/restore-entries', (request: IRequest) => restore.entries(request));
    this.#router.post('/restore-enter', (request: IRequest) => restore.enter(request));
    this.#router.post('/restore-finish', (request: IRequest) => restore.finish(request));
    this.#router.post('/import-chunk', (request: IRequest) => imports.chunk(request));
    this.#router.post('/lookup', (request: IRequest) => this.#asked(request, lookUp));
    this.#router.post('/export-page', (request: IRequest) => this.#asked(request, exportPage));
    for (const [type, handle] of Object.entries(messages)) {
      this.#router.post(`/${type}`, async (request: IRequest) => {
        const version = Number(request.headers.get(RPC_HEADER));
        return Response.json((await handle((await request.json()) as never, version)) ?? {});
      });
    }
  }

  /** What hosts that open links may do here. */
  get links(): HostLinks {
    return this.#links;
  }

  fetch(request: Request): Promise<Response> {
    const { headers, url } = request;
    const version = headers.get(RPC_HEADER);
    if (!isSpoken(version)) return Promise.resolve(errorResponse(unspoken(version)));
    if (this.#replica?.locks.isEmpty === false) this.#feed.copies.check();
    // Nearly all messages are these: the router's way costs a certified read a sixth of its time.
    if (url.endsWith('/execute')) return this.#execute(request);
    if (url.endsWith('/execute-many')) return executeMany(request, this.#together).catch(this.#failed);
    if (url.endsWith('/certify')) return this.#certify(request).catch(this.#failed);
    return this.#routed(request);
  }

  async #routed(request: Request): Promise<Response> {
    const response: Response = await this.#router.fetch(request);
    // Whatever it was, it may have added to the log.
    this.#links.shipper.grown();
    return response;
  }

  /** Settles transactions that are in doubt; the system partition's delivers again what some partition has not confirmed. */
  async alarm(): Promise<void> {
    const due = this.#alarms.due(Date.now());
    if (due.has('settle') && this.#replica !== null) await this.#transactions.settle();
    if (this.#coordinator === null) return;
    if (due.has('watch')) this.#registry?.watch();
    if (due.has('build')) this.#coordinator.builder.start();
    if (!due.has('deliver')) return;
    await this.#coordinator.createPartitions();
    await this.#coordinator.deliver();
    await this.#coordinator.endSilentRestore();
  }

  /** In as few turns of the queue as it may: nearly all messages come by here. */
  async #execute(incoming: Request): Promise<Response> {
    try {
      const request = (await incoming.json()) as ExecuteRequest;
      const isRead = isPresentRead(request);
      let first = isRead && !this.#foreignKeys.off ? this.#read(request) : null;
      if (first?.kind === 'done') return outcomeResponse(first, incoming);
      const written = this.#coordinator === null || request.read ? null : yetToWrite(this.#here, request);
      return await this.#answer(incoming, written, async () => {
        const outcome = first ?? (isRead ? this.#read(request) : this.#queue.run(this.#here.work(request)));
        first = null;
        return outcome;
      });
    } catch (error) {
      return this.#failed(error);
    }
  }

  readonly #together: AtOnce = {
    execute: (request) => {
      if (this.#foreignKeys.off || (this.#coordinator !== null && !request.read)) return null;
      return isPresentRead(request) ? this.#read(request) : this.#queue.run(this.#here.work(request));
    },
    failed: (error) => this.#shown(error),
  };

  #read(request: ExecuteRequest): ExecuteOutcome {
    return this.#here.execute([request], Date.now())[0] as ExecuteOutcome;
  }

  async #answered(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as AnsweredRequest;
    return this.#answer(incoming, null, async () => findAnswer(this.#here, request));
  }

  /**
   * Answers at once: a leader that was superseded may still run, but not get through to its storage in an event of its own,
   * as each of these is. So what it reads here is what the partition has, at a time after the request was sent.
   */
  async #certify(incoming: Request): Promise<Response> {
    const request = (await incoming.json()) as CertifyRequest;
    return new Response(JSON.stringify(certify(this.#here, request)), { headers: JSON_HEADERS });
  }

  /** What reads and may have to wait. */
  async #asked<Asked>(
    incoming: Request,
    read: (replica: Replica, request: Asked) => ExecuteOutcome,
  ): Promise<Response> {
    const request = (await incoming.json()) as Asked;
    return this.#answer(incoming, null, async () => read(this.#here, request));
  }

  /** `written`: the reference tables that it may write, if this is the system partition; null: it writes nothing. */
  async #answer(
    incoming: Request,
    written: readonly TableId[] | null,
    attempt: () => Promise<ExecuteOutcome>,
  ): Promise<Response> {
    const deadline = Number(incoming.headers.get(DEADLINE_HEADER));
    const coordinator = this.#coordinator;
    if (coordinator === null || written === null)
      return outcomeResponse(await this.#settle(attempt, deadline), incoming);
    return coordinator.references.whileFrozen(written, deadline, async (freeze) => {
      const outcome = await this.#settle(attempt, deadline);
      if (outcome.kind === 'done') await coordinator.delivered(freeze);
      return outcomeResponse(outcome, incoming);
    });
  }

  #perform(work: Work, deadline: number): Promise<Settled> {
    return this.#settle(() => this.#queue.run(work), deadline);
  }

  #create(identity: Identity): { created: boolean } {
    const existing = this.#replica?.identity;
    if (existing === undefined) {
      this.#replica = this.#sealing(Replica.create(this.#surroundings.port, identity));
      return { created: true };
    }
    if (existing.history === identity.history && existing.partition === identity.partition)
      return { created: false };
    throw new AtollError('already-exists', `partition ${existing.partition} of another history`);
  }

  async #found(body: FoundRequest): Promise<unknown> {
    const { database, partitions, settings } = body;
    const { port, key } = this.#surroundings;
    if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX) {
      throw new AtollError('bad-request', `partitions must be from 1 to ${PARTITIONS_MAX}`);
    }
    const coordinator =
      this.#coordinator ??
      this.#serveSystem(
        System.found(
          port,
          { database, partitions, settings, history: crypto.randomUUID(), leader: key?.host ?? EDGE },
          Date.now(),
        ),
      );
    const present = this.#asSystem.partitionIds().length;
    if (present !== partitions) {
      throw new AtollError(
        'already-exists',
        `the cluster has ${present} partitions, not ${partitions}: leave it, or name ${present}`,
      );
    }
    await coordinator.createPartitions();
    await coordinator.deliver();
    // Said again, it may be another number.
    if (settings.replicas !== undefined) this.#hosts.wantReplicas(Number(settings.replicas));
    return networkReply(this.#asSystem);
  }

  #sealing<R extends Replica | null>(replica: R): R {
    if (replica !== null) replica.seal = this.#surroundings.seal;
    return replica;
  }

  get #here(): Replica {
    return initialised(this.#replica);
  }

  get #asSystem(): System {
    return initialised(this.#system);
  }

  get #coordinating(): Coordinator {
    return initialised(this.#coordinator);
  }

  get #hosts(): HostRegistry {
    return initialised(this.#registry);
  }

  /** An expected error is answered. A defect is logged and ends this instance: the next request finds one that was made from the file. */
  #shown(error: unknown): AtollError {
    const shown = toAtollError(error);
    if (!(error instanceof AtollError)) {
      console.error(`partition ${this.#replica?.identity.partition}: defect`, error);
      this.#surroundings.abandon();
    }
    return shown;
  }

  readonly #failed = (error: unknown): Response => errorResponse(this.#shown(error));
}

function initialised<T>(part: T | null): T {
  if (part === null) throw new AtollError('not-found', 'this cluster is not initialised: run `atoll init`');
  return part;
}
