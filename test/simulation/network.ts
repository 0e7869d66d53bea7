import type { PartitionId } from '../../src/base/brand.ts';
import { CoalescingTransport } from '../../src/gateway/coalescing-transport.ts';
import { readError } from '../../src/gateway/database.ts';
import type { Coalescing } from '../../src/gateway/lane.ts';
import type { PartitionMessage, PartitionTransport } from '../../src/gateway/transport.ts';
import type { Peers } from '../../src/partition/surroundings.ts';
import { AtollError } from '../../src/protocol/error.ts';
import type { Freeze } from '../../src/protocol/freeze.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../src/protocol/rpc.ts';
import type { Random } from '../harness/random.ts';
import type { Coverage } from './coverage.ts';
import type { Actor, EventLoop } from './event-loop.ts';
import type { FollowerHost } from './follower-host.ts';
import { Links } from './links.ts';
import type { PartitionHost } from './partition-host.ts';
import { Witness } from './witness.ts';

/** Messages whose repetition must do no harm, and which the network therefore repeats. */
const REPEATABLE = new Set(['transaction-ends', 'transaction-state', 'feed', 'status', 'network']);

export interface Trouble {
  /** Of a message, on each way. */
  lost: number;
  slow: number;
  repeated: number;
}

/** The next message of that type is the end of the instance that takes it. */
export interface Trap {
  readonly type: string;
  /** When it has been done, and is in memory alone; when it is durable, and the answer would leave; or when that has left. */
  readonly when: 'executed' | 'durable' | 'answered';
}

/** Whoever has sent the next such message hears no answer: `strike` is called with it instead, and ends it. */
export interface Ambush {
  readonly type: string;
  readonly strike: (sender: Actor) => void;
}

/** Messages of that type, or their answers, come so much later than others, or not at all. */
export interface Straggler {
  readonly type: string;
  readonly way: 'messagesLost' | 'answersLost';
  /** Null: not at all. */
  readonly moreMs: number | null;
  /** The next one alone; else every second one. */
  readonly once: boolean;
}

interface Message {
  readonly from: Actor;
  readonly partition: PartitionId;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly deadline: number;
  readonly trace: string;
}

/** A message or an answer on its way. */
interface Trip {
  readonly from: string;
  readonly to: Actor;
  readonly way: 'messagesLost' | 'answersLost';
  readonly type?: string;
}

/** Carries messages: late, not at all, twice, or until a link is cut. Calls to a host that dies fail, done or not. */
export class Network {
  readonly links = new Links();
  readonly trouble: Trouble = { lost: 0, slow: 0, repeated: 0 };
  readonly traps = new Set<Trap>();
  readonly stragglers = new Set<Straggler>();
  /** For routers. */
  readonly ambushes = new Set<Ambush>();
  /** Of routers' requests and anchors' prepares; null: each goes by itself. */
  readonly coalescing: Coalescing | null;
  readonly #loop: EventLoop;
  readonly #random: Random;
  readonly #coverage: Coverage;
  readonly #witness: Witness;
  readonly #hosts = new Map<PartitionId, PartitionHost>();
  readonly #followers = new Map<PartitionId, FollowerHost>();

  constructor(loop: EventLoop, coverage: Coverage) {
    this.#loop = loop;
    this.#random = loop.stream('network');
    this.coalescing = loop
      .stream('coalescing')
      .pick([null, ...[0, 5, 60].map((gatherMs) => ({ gatherMs, eager: true }))]);
    this.#coverage = coverage;
    this.#witness = new Witness(coverage, (error) => loop.defects.push(error));
  }

  add(host: PartitionHost): void {
    this.#hosts.set(host.id, host);
  }

  addFollower(partition: PartitionId, follower: FollowerHost): void {
    this.#followers.set(partition, follower);
  }

  /** For a router: by a copy where one may answer, else by the leader. */
  transport(router: Actor): PartitionTransport {
    const each: PartitionTransport = {
      call: (_database, partition, { type, body, deadline, trace }) => {
        return this.#call({ from: router, partition, type, body, deadline, trace }, (send) => send());
      },
    };
    const { coalescing } = this;
    const leaders = coalescing === null ? each : new CoalescingTransport(each, coalescing);
    return {
      call: async (database, partition, message: PartitionMessage) => {
        const { type, body, freshness } = message;
        const copy = freshness === undefined ? undefined : this.#followers.get(partition);
        if (copy !== undefined && freshness !== undefined && type === 'execute' && this.#random.chance(0.8)) {
          const response = copy.serve(body as string, freshness);
          if (response !== null) return response;
        }
        return leaders.call(database, partition, message);
      },
    };
  }

  /** A message by itself, one way. */
  post(from: Actor, to: Actor, arrive: () => void): void {
    this.#carry({ from: from.name, to, way: 'messagesLost' }, () => undefined, arrive);
  }

  /** For a partition: what it sends leaves by its output gate. */
  peers(host: PartitionHost): Peers {
    return {
      call: async <Answer>(
        _database: string,
        partition: PartitionId,
        type: string,
        message: unknown,
        milliseconds = 10_000,
      ): Promise<Answer> => {
        const deadline = Date.now() + milliseconds;
        const body = JSON.stringify(message);
        let response: Response;
        try {
          response = await this.#call(
            { from: host.actor, partition, type, body, deadline, trace: '' },
            (send) => host.gate(send),
          );
        } catch (error) {
          throw new AtollError(
            'unavailable',
            `partition ${partition} does not answer: ${String(error)}`,
            'none',
          );
        }
        if (response.ok) return (await response.json()) as Answer;
        throw await readError(response);
      },
    };
  }

  #call(message: Message, gate: (send: () => void) => void): Promise<Response> {
    const { from, partition, deadline } = message;
    if (message.type === 'execute-many') this.#coverage.executesTogether++;
    if (message.type === 'prepare-many') this.#coverage.preparesTogether++;
    // What meets one meets several.
    const type = ofOne(message.type);
    const host = this.#hosts.get(partition);
    if (host === undefined) return Promise.reject(new Error(`no partition ${partition}`));
    const loop = this.#loop;
    return new Promise((resolve, reject) => {
      // Whoever calls gives up by its own clock; the network knows of no deadlines.
      const patience = loop.schedule(Math.max(1, deadline - Date.now() + 20), from, () =>
        settle(() => reject(new Error('no answer in time'))),
      );
      let settled = false;
      const settle = (how: () => void): void => {
        if (settled) return;
        settled = true;
        patience.cancelled = true;
        how();
      };
      const fail = (): void => {
        loop.schedule(this.#delay(), from, () => settle(() => reject(new Error('the connection was lost'))));
      };
      const back = (response: Response): void =>
        this.#carry({ from: `partition ${partition}`, to: from, way: 'answersLost', type }, fail, () => {
          const ambush = [...this.ambushes].find((each) => each.type === type);
          if (ambush === undefined) {
            settle(() => resolve(response));
            return;
          }
          this.ambushes.delete(ambush);
          ambush.strike(from);
        });
      const deliver = (): void => this.#deliver(host, message, back, fail);
      gate(() => {
        this.#carry({ from: from.name, to: host.actor, way: 'messagesLost', type }, fail, deliver);
        if (REPEATABLE.has(type) && this.#random.chance(this.trouble.repeated)) {
          this.#coverage.messagesRepeated++;
          loop.schedule(this.#delay() * 3, host.actor, deliver);
        }
      });
    });
  }

  /** One way. */
  #carry({ from, to, way, type }: Trip, refused: () => void, arrive: () => void): void {
    const passage = this.links.passage(from, to.name);
    if (passage.kind === 'refused') {
      this.#coverage.messagesRefused++;
      refused();
      return;
    }
    const straggling = this.#straggling(way, type);
    if (passage.kind === 'silent' || straggling === null || this.#random.chance(this.trouble.lost))
      this.#coverage[way]++;
    else this.#loop.schedule(this.#delay() + passage.moreMs + straggling, to, arrive);
  }

  /** How much later it comes than others, ms; null: not at all. */
  #straggling(way: Trip['way'], type: string | undefined): number | null {
    const straggler = [...this.stragglers].find((each) => each.way === way && each.type === type);
    if (straggler === undefined || (!straggler.once && this.#random.chance(0.5))) return 0;
    if (straggler.once) this.stragglers.delete(straggler);
    this.#coverage.stragglers++;
    return straggler.moreMs;
  }

  #deliver(
    host: PartitionHost,
    { type, body, deadline, trace }: Message,
    back: (response: Response) => void,
    fail: () => void,
  ): void {
    const inDoubt = this.#witness.sees(host, type, body);
    const trap = [...this.traps].find((each) => each.type === ofOne(type));
    if (trap !== undefined) {
      this.traps.delete(trap);
      this.#coverage.trapped++;
    }
    const { actor } = host;
    const spring = (): void => {
      if (host.actor === actor) host.crash(false);
      fail();
    };
    const request = new Request(`http://partition/${type}`, {
      method: 'POST',
      headers: {
        [RPC_HEADER]: String(RPC_VERSION),
        [TRACE_HEADER]: trace,
        [DEADLINE_HEADER]: String(deadline),
      },
      body: body as string,
    });
    const answer = (response: Response): void => {
      if (type === 'freeze' && response.ok && host.actor === actor)
        this.#witness.hearsFrozen(host, JSON.parse(body as string) as Freeze);
      if (trap?.when === 'durable') spring();
      else void this.#witness.hears(type, response, inDoubt).then(back);
      if (trap?.when === 'answered') this.#loop.schedule(0.05, actor, spring);
    };
    host.serve(request, answer, fail);
    if (trap?.when === 'executed') this.#loop.schedule(0.05, actor, spring);
  }

  /** Messages overtake each other. */
  #delay(): number {
    const usual = 0.2 + this.#random.next() * 2;
    // As often some milliseconds as some hundred: what is between two events differs by as much.
    return this.#random.chance(this.trouble.slow) ? usual + 400 ** this.#random.next() : usual;
  }
}

/** The message that one of several would have been. */
function ofOne(type: string): string {
  return type.replace(/-many$/, '');
}
