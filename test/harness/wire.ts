import type { CommitId } from '../../src/base/brand.ts';
import type { GossipMessage } from '../../src/core/network/gossip-message.ts';
import type { Heartbeat } from '../../src/core/network/heartbeat.ts';
import type { HostOffer } from '../../src/core/network/joining.ts';
import type { Position } from '../../src/core/replication/position.ts';
import type { Answer } from '../../src/core/replication/shipper.ts';
import type {
  SnapshotCursor,
  SnapshotHead,
  SnapshotPage,
} from '../../src/core/replication/snapshot-format.ts';
import type { Coverage } from './coverage.ts';
import type { Random } from './random.ts';

/** A socket between an agent and a partition's object. Each side learns by itself that it is gone. */
export interface Link {
  readonly number: number;
  readonly host: string;
  readonly partition: number;
  agentOpen: boolean;
  edgeOpen: boolean;
  /** Replies by call, for calls that come again. */
  readonly replies: Map<number, Reply>;
  /** The last `follow` that was answered: on a socket an earlier one does not come after it. */
  lastFollow: number;
}

export function newLink(number: number, host: string, partition: number): Link {
  return { number, host, partition, agentOpen: true, edgeOpen: true, replies: new Map(), lastFollow: 0 };
}

export type Request =
  | { readonly type: 'follow'; readonly position: Position | null }
  | { readonly type: 'snapshot-open' }
  | { readonly type: 'snapshot-page'; readonly base: CommitId; readonly cursor: SnapshotCursor }
  | { readonly type: 'join'; readonly offer: HostOffer }
  | { readonly type: 'heartbeat'; readonly beat: Heartbeat }
  | { readonly type: 'vote'; readonly proposal: number; readonly accept: boolean };

export type Reply =
  | { readonly type: 'follow'; readonly next: 'entries' | 'snapshot'; readonly last: number }
  | { readonly type: 'snapshot-open'; readonly snapshot: SnapshotHead }
  | { readonly type: 'snapshot-page'; readonly page: SnapshotPage | 'gone' }
  | { readonly type: 'join'; readonly status: string; readonly retryAfterMs: number | null }
  | { readonly type: 'heartbeat'; readonly status: string; readonly replicas: readonly number[] }
  | { readonly type: 'vote'; readonly result: string };

export type ToEdge =
  | { readonly type: 'call'; readonly call: number; readonly request: Request }
  | { readonly type: 'appended'; readonly answer: Answer };

export type ToAgent =
  | { readonly type: 'reply'; readonly call: number; readonly reply: Reply }
  | { readonly type: 'append'; readonly head: object; readonly data: Uint8Array }
  | { readonly type: 'follow-again' }
  | { readonly type: 'vote-request'; readonly proposal: number };

export type Packet =
  | { readonly to: 'edge'; readonly link: Link; readonly message: ToEdge }
  | { readonly to: 'agent'; readonly link: Link; readonly message: ToAgent }
  | {
      readonly to: 'peer';
      readonly from: string;
      readonly address: string;
      readonly message: GossipMessage;
    };

/** Packets under way: late, lost, twice, and in any order. */
export class Wire {
  trouble = true;
  readonly #random: Random;
  readonly #coverage: Coverage;
  #packets: Packet[] = [];
  /** Repeats of packets, which come late. */
  #repeats: Packet[] = [];

  constructor(random: Random, coverage: Coverage) {
    this.#random = random;
    this.#coverage = coverage;
  }

  get empty(): boolean {
    return this.#packets.length + this.#repeats.length === 0;
  }

  send(packet: Packet): void {
    // A leader says this once: on a socket nothing is lost but with the socket itself.
    const mustArrive = packet.to === 'agent' && packet.message.type === 'follow-again';
    if (this.trouble && !mustArrive && this.#random.chance(0.03)) {
      this.#coverage.lost++;
      return;
    }
    this.#packets.push(packet);
    if (this.trouble && this.#random.chance(packet.to === 'peer' ? 0.5 : 0.06)) {
      this.#coverage.repeated++;
      this.#repeats.push(packet);
    }
  }

  /** Mostly the oldest, so that what follows one another often arrives so. */
  take(): Packet | undefined {
    if (!this.trouble) return this.#packets.shift() ?? this.#repeats.shift();
    const what = this.#random.next();
    if (what < 0.65) return this.#packets.shift();
    const from = what < 0.9 ? this.#packets : this.#repeats;
    return from.splice(this.#random.below(from.length), 1)[0];
  }

  /** What was under way on links that both sides have given up will not arrive. */
  forgetClosed(): void {
    const mayArrive = (packet: Packet) =>
      packet.to === 'peer' || packet.link.agentOpen || packet.link.edgeOpen;
    this.#packets = this.#packets.filter(mayArrive);
    this.#repeats = this.#repeats.filter(mayArrive);
  }
}
