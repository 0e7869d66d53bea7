import type { PartitionId } from '../../src/base/brand.ts';
import { readError } from '../../src/gateway/database.ts';
import type { PartitionMessage, PartitionTransport } from '../../src/gateway/transport.ts';
import type { Peers } from '../../src/partition/surroundings.ts';
import { AtollError } from '../../src/protocol/error.ts';
import { DEADLINE_HEADER, RPC_HEADER, RPC_VERSION, TRACE_HEADER } from '../../src/protocol/rpc.ts';
import type { Coverage } from './coverage.ts';
import type { Actor, EventLoop } from './event-loop.ts';
import type { PartitionHost } from './partition-host.ts';

/** Messages whose repetition must do no harm, and which the network therefore repeats. */
const REPEATABLE = new Set(['transaction-ends', 'transaction-state', 'feed', 'status', 'network']);

export interface Trouble {
  /** Of a message, on each way. */
  lost: number;
  slow: number;
  repeated: number;
}

/** Carries messages: late, not at all, twice, or until a link is cut. Calls to a host that dies fail, done or not. */
export class Network {
  readonly #loop: EventLoop;
  readonly #coverage: Coverage;
  readonly #hosts = new Map<PartitionId, PartitionHost>();
  /** Pairs `from>to` that do not reach each other now. */
  readonly #cut = new Set<string>();
  readonly trouble: Trouble = { lost: 0, slow: 0, repeated: 0 };

  constructor(loop: EventLoop, coverage: Coverage) {
    this.#loop = loop;
    this.#coverage = coverage;
  }

  add(host: PartitionHost): void {
    this.#hosts.set(host.id, host);
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
    this.#cut.add(`${to}>${from}`);
  }

  heal(): void {
    this.#cut.clear();
  }

  /** For a router. */
  transport(router: Actor): PartitionTransport {
    return {
      call: (_database, partition, { type, body, deadline, trace }: PartitionMessage) =>
        this.#call(router, (send) => send(), partition, type, body as string, deadline, trace),
    };
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
        let response: Response;
        try {
          response = await this.#call(
            host.actor,
            (send) => host.gate(send),
            partition,
            type,
            JSON.stringify(message),
            deadline,
            '',
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

  #call(
    from: Actor,
    gate: (send: () => void) => void,
    partition: PartitionId,
    type: string,
    body: string,
    deadline: number,
    trace: string,
  ): Promise<Response> {
    const host = this.#hosts.get(partition);
    if (host === undefined) return Promise.reject(new Error(`no partition ${partition}`));
    return new Promise((resolve, reject) => {
      const fail = (): void => {
        this.#loop.schedule(this.#delay(), from, () =>
          settle(() => reject(new Error('the object was reset'))),
        );
      };
      let settled = false;
      const settle = (how: () => void): void => {
        if (settled) return;
        settled = true;
        how();
      };
      // Whoever calls gives up by its own clock; the network knows of no deadlines.
      this.#loop.schedule(Math.max(1, deadline - Date.now() + 20), from, () =>
        settle(() => reject(new Error('no answer in time'))),
      );
      const deliver = (): void => {
        const request = new Request(`http://partition/${type}`, {
          method: 'POST',
          headers: {
            [RPC_HEADER]: String(RPC_VERSION),
            [TRACE_HEADER]: trace,
            [DEADLINE_HEADER]: String(deadline),
          },
          body,
        });
        host.serve(
          request,
          (response) => {
            if (this.#loses(`partition ${partition}`, from.name)) {
              this.#coverage.answersLost++;
              return;
            }
            this.#loop.schedule(this.#delay(), from, () => settle(() => resolve(response)));
          },
          fail,
        );
      };
      gate(() => {
        if (this.#loses(from.name, `partition ${partition}`)) {
          this.#coverage.messagesLost++;
          return;
        }
        this.#loop.schedule(this.#delay(), host.actor, deliver);
        if (REPEATABLE.has(type) && this.#loop.random.chance(this.trouble.repeated)) {
          this.#coverage.messagesRepeated++;
          this.#loop.schedule(this.#delay() * 3, host.actor, deliver);
        }
      });
    });
  }

  #loses(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`) || this.#loop.random.chance(this.trouble.lost);
  }

  /** Messages overtake each other. */
  #delay(): number {
    const { random } = this.#loop;
    const usual = 0.2 + random.next() * 2;
    return random.chance(this.trouble.slow) ? usual + random.next() * 400 : usual;
  }
}
