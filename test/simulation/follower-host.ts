import { readHead } from '../../src/core/log/tables.ts';
import type { Follower } from '../../src/core/replication/follower.ts';
import { decodeBatch } from '../../src/core/replication/shipping.ts';
import type { SnapshotHead, SnapshotPageHead } from '../../src/core/replication/snapshot-format.ts';
import { SnapshotTarget } from '../../src/core/replication/snapshot-target.ts';
import type { Freshness } from '../../src/gateway/freshness.ts';
import { qualifies } from '../../src/gateway/replica-choice.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import type { ExecuteRequest } from '../../src/protocol/execute.ts';
import { replicationMessage } from '../../src/protocol/replication.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import type { Link, LinkPeer, Message } from '../../src/rpc/link.ts';
import type { Coverage } from './coverage.ts';
import type { Actor, EventLoop } from './event-loop.ts';
import type { Network } from './network.ts';
import { MEMORY, type PartitionHost } from './partition-host.ts';

/** After so long without a message it follows again; how long it waits for a reply, ms. */
const SILENCE_MS = 600;
const TICK_MS = 60;
const NO_DATA = new Uint8Array(0);

export interface FollowerOptions {
  readonly loop: EventLoop;
  readonly network: Network;
  readonly coverage: Coverage;
  readonly leader: PartitionHost;
  readonly defect: (error: unknown) => void;
}

/** An agent's copy of one partition, fed by the partition's own log shipper; it answers reads that need not be strong. */
export class FollowerHost implements Actor {
  readonly name: string;
  clockOffsetMs = 0;
  alive = true;
  readonly #options: FollowerOptions;
  #follower: Follower | null = null;
  #port: NodeSqlitePort | null = null;
  /** The leader's instance that it follows, and how that reaches it. */
  #following: { readonly instance: Actor; readonly link: Link } | null = null;
  #heardAt = Number.NEGATIVE_INFINITY;
  #busy = false;
  #leaderLast = Number.POSITIVE_INFINITY;
  #caughtUpAt: number | null = null;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.name = `follower of partition ${options.leader.id}`;
  }

  start(): void {
    const { loop, leader } = this.#options;
    loop.schedule(TICK_MS, this, () => {
      const lost = this.#following?.instance !== leader.actor || loop.now - this.#heardAt > SILENCE_MS;
      if (lost && !this.#busy) {
        this.#busy = true;
        void this.#follow()
          .catch((error: unknown) => this.#options.defect(error))
          .finally(() => {
            this.#busy = false;
          });
      }
      this.start();
    });
  }

  close(): void {
    this.#port?.close();
  }

  /** It has all that its leader has. */
  get isCaughtUp(): boolean {
    if (this.#follower === null) return false;
    return this.#follower.position().commitId === readHead(this.#options.leader.port).lastCommitId;
  }

  get port(): NodeSqlitePort | null {
    return this.#port;
  }

  /** Null: it may not answer, or cannot. */
  serve(body: string, freshness: Freshness): Response | null {
    const follower = this.#follower;
    if (follower === null) return null;
    const { commitId, timestamp } = follower.position();
    const last = { commit: commitId, time: timestamp };
    const state = { last, leads: false, caughtUpAt: this.#caughtUpAt };
    if (!qualifies(freshness, state, Date.now())) return null;
    const request = JSON.parse(body) as ExecuteRequest;
    const [outcome] = follower.replica.execute([request], Date.now());
    if (outcome?.kind !== 'done') return null;
    this.#options.coverage.followerReads++;
    return new Response(outcome.body, { headers: { 'content-type': 'application/json' } });
  }

  // --- Following -------------------------------------------------------------------------------------------

  async #follow(): Promise<void> {
    const { loop, leader } = this.#options;
    const partition = leader.id;
    const instance = leader.actor;
    const event = (...what: Parameters<Link['event']>) => this.#event(instance, ...what);
    const link = { event, peer: PEER } as Link;
    this.#following = { instance, link };
    this.#heardAt = loop.now;
    const position = this.#follower?.position() ?? null;
    const reply = await this.#call(replicationMessage.follow, { partition, position });
    if (reply === null) return;
    if ((reply.head as { next: string }).next !== 'snapshot') return;
    if (this.#follower !== null)
      throw new Error(`${this.name}: its leader has other entries, or none, where it is`);
    await this.#takeSnapshot();
  }

  async #takeSnapshot(): Promise<void> {
    const partition = this.#options.leader.id;
    const opened = await this.#call(replicationMessage.snapshotOpen, { partition });
    if (opened === null) return;
    const head = (opened.head as { snapshot: SnapshotHead }).snapshot;
    const port = new NodeSqlitePort(':memory:', MEMORY);
    const target = SnapshotTarget.begin(port, head);
    for (let cursor = target.cursor; cursor !== null; cursor = target.cursor) {
      const { commitId: base } = head.base;
      const page = await this.#call(replicationMessage.snapshotPage, { partition, base, cursor });
      const kind = (page?.head as { kind: string } | undefined)?.kind;
      if (page === null || kind === 'gone') {
        port.close();
        return;
      }
      target.accept({ head: (page.head as { page: SnapshotPageHead }).page, data: page.data });
    }
    this.#port = port;
    this.#follower = target.finish();
    this.#options.coverage.snapshots++;
    // From here on, entries.
    this.#following = null;
  }

  #event(instance: Actor, type: string, head: unknown, data: Uint8Array = NO_DATA): void {
    const { leader, network } = this.#options;
    const message = { head: sent(head), data };
    if (leader.actor !== instance) return;
    leader.gate(() => network.post(instance, this, () => this.#take(instance, type, message)));
  }

  #take(instance: Actor, type: string, { head, data }: Message): void {
    const { coverage, leader, loop, network } = this.#options;
    const following = this.#following;
    if (following?.instance !== instance) return;
    this.#heardAt = loop.now;
    if (type === replicationMessage.followAgain) this.#following = null;
    if (type !== replicationMessage.append || this.#follower === null) return;
    const batch = decodeBatch(head, data);
    const { kind, position } = this.#follower.append(batch);
    if (kind === 'diverged') throw new Error(`${this.name} has entries that its leader has not`);
    if (kind === 'appended') coverage.followed++;
    this.#leaderLast = batch.last;
    if (position.commitId >= this.#leaderLast) this.#caughtUpAt = Date.now();
    const answer = { head: { partition: leader.id, kind, position }, data: NO_DATA };
    network.post(this, instance, () => {
      if (leader.actor !== instance) return;
      leader.server.links.shipper.events(() => following.link)[replicationMessage.appended]?.(answer, PEER);
    });
  }

  /** Null: no reply came. */
  #call(type: string, head: unknown): Promise<Message | null> {
    const { leader, loop, network } = this.#options;
    const following = this.#following;
    return new Promise((resolve) => {
      loop.schedule(SILENCE_MS, this, () => resolve(null));
      network.post(this, leader.actor, () => {
        const instance = leader.actor;
        if (following?.instance !== instance) return;
        const handler = leader.server.links.shipper.calls(() => following.link)[type];
        const reply = handler?.({ head: sent(head), data: NO_DATA }, PEER, 0) as Message;
        leader.gate(() =>
          network.post(instance, this, () => {
            this.#heardAt = loop.now;
            resolve({ head: sent(reply.head), data: reply.data });
          }),
        );
      });
    });
  }
}

const PEER = { host: 'agent', version: RPC_VERSION } as LinkPeer;

/** What a message makes of a value. */
function sent<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
