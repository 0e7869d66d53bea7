import type { PartitionId } from '../base/brand.ts';
import { REPLICA_HEADER } from '../gateway/export/replica-header.ts';
import type { Freshness } from '../gateway/freshness.ts';
import { askInOrder, qualifies } from '../gateway/replica-choice.ts';
import type { PartitionMessage, PartitionTransport } from '../gateway/transport.ts';
import { AtollError } from '../protocol/error.ts';
import type { ExportPageRequest } from '../protocol/export.ts';
import { CarriedReply } from '../protocol/link.ts';
import type { Message } from '../rpc/link.ts';
import { readHead } from '../rpc/read-head.ts';
import type { Reply } from './gossip/newest-network.ts';
import type { OpenLink } from './links/open-link.ts';
import { causeOf, type LogEvent, messageOf } from './log.ts';
import type { PartitionCopy } from './replication/partition-copy.ts';
import type { LocalAnswer } from './storage/calls.ts';
import type { Storage } from './storage/storage.ts';

/** How long a message waits for a link that is being opened before its caller hears that there is none, ms (chosen). */
const LINK_WAIT_MS = 2_000;

/** What this host has of partitions, and how it reaches their leaders. */
export interface Reach {
  /** Null: no replica of that partition is here. */
  copy(database: string, partition: PartitionId): PartitionCopy | null;
  /** Error: AtollError `unavailable`, outcome `none`, when there is no link by the deadline (Unix ms). */
  link(partition: PartitionId, deadline: number): Promise<OpenLink>;
}

/** Other members of the cluster, and what they make known. */
export interface Others {
  /** Hosts but this one that a read of the partition may be sent to, the first one first; the leader among them. */
  candidates(partition: PartitionId): Promise<readonly string[]>;
  /** Among them the one that leads. */
  readonly leader: string;
  /** Sends a read to another agent. Its reply's head is a CarriedReply. `again`: as of PeerCalls. */
  ask(
    host: string,
    partition: PartitionId,
    message: PartitionMessage,
    deadline: number,
    again: boolean,
  ): Promise<Message>;
  /** The newest network information that this host can find; null: it has none. */
  newest(): Promise<Reply | null>;
  /** The leader has said what the network is. */
  learned(reply: Reply): void;
}

/** Where the router's messages were answered, since the process started. */
export interface TransportCounts {
  local: number;
  leader: number;
  /** By another agent. */
  peer: number;
}

/**
 * Partitions as an agent's router reaches them: by the replica that is here where that may answer, else by the closest one
 * that may, else at their leader.
 */
export class AgentTransport implements PartitionTransport {
  readonly counts: TransportCounts = { local: 0, leader: 0, peer: 0 };
  readonly #reach: Reach;
  readonly #storage: Storage;
  readonly #log: LogEvent;
  readonly #others: Others;

  constructor(reach: Reach, storage: Storage, log: LogEvent, others: Others) {
    this.#reach = reach;
    this.#storage = storage;
    this.#log = log;
    this.#others = others;
  }

  async call(database: string, partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const { freshness, type } = message;
    const copy = this.#reach.copy(database, partition);
    if (freshness !== undefined) {
      const near = copy === null ? null : await this.fresh(copy, message, freshness);
      return near === null ? this.#elsewhere(partition, message) : this.#here(near);
    }
    if (type === 'network') return this.#network(partition, message);
    try {
      return await this.#atLeader(partition, message);
    } catch (error) {
      if (copy === null || type !== 'export-page' || !isOutOfReach(error)) throw error;
      return this.#pageHere(copy, message);
    }
  }

  /** What the replica here answers to a read that demands so much of it; null: it may not, or cannot. */
  async fresh(
    copy: PartitionCopy,
    { type, body, deadline }: Pick<PartitionMessage, 'type' | 'body' | 'deadline'>,
    freshness: Freshness,
  ): Promise<LocalAnswer | null> {
    return (await isFresh(copy, freshness, deadline)) ? this.answer(copy, type, textOf(body)) : null;
  }

  /** What the replica here answers; null: it cannot. Never throws. */
  async answer(copy: PartitionCopy, type: string, body: string): Promise<LocalAnswer | null> {
    try {
      if (type === 'execute') return await this.#storage.call(copy.file, 'execute', body, Date.now());
      if (type === 'export-page') return await this.#storage.call(copy.file, 'exportPage', body);
      if (type === 'network') return await this.#storage.call(copy.file, 'network');
      return null;
    } catch (error) {
      this.#log('error', 'local-answer-failed', { partition: copy.partition, type, cause: causeOf(error) });
      copy.failed(error);
      return null;
    }
  }

  /** By other replicas or the leader, the closest first; one that hangs leaves the next one half of the time. */
  async #elsewhere(partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const { trace, type } = message;
    const candidates = await this.#others.candidates(partition);
    const unreached: string[] = [];
    let again = false;
    const ask = async (host: string): Promise<Response> => {
      const isLast = host === candidates.at(-1);
      const now = Date.now();
      const deadline = isLast ? message.deadline : now + (message.deadline - now) / 2;
      if (host === this.#others.leader) return this.#atLeader(partition, { ...message, deadline });
      this.counts.peer++;
      return responseOf(type, await this.#others.ask(host, partition, message, deadline, again));
    };
    const passedOver = (host: string, why: unknown): void => {
      if (isOutOfReach(why) && host !== this.#others.leader) unreached.push(host);
      this.#log('debug', 'read-passed-over', { host, partition, trace, why: messageOf(why) });
    };
    // Without a network nobody but the leader is known.
    if (candidates.length === 0) return this.#atLeader(partition, message);
    try {
      return await askInOrder(candidates, ask, passedOver);
    } catch (error) {
      const others = unreached.splice(0);
      if (!isOutOfReach(error) || others.length === 0 || Date.now() >= message.deadline) throw error;
      // The leader, too, is out of reach: nobody is left but those who may be in reach again.
      again = true;
      return await askInOrder(others, ask, passedOver).catch(() => {
        throw error;
      });
    }
  }

  /** The newest that can be had: the leader's answer, unless this host knows newer, or has no way there. */
  async #network(partition: PartitionId, message: PartitionMessage): Promise<Response> {
    let unreached: unknown = null;
    try {
      const response = await this.#atLeader(partition, message);
      if (!response.ok && response.status !== 503) return response;
      if (response.ok) this.#others.learned((await response.json()) as Reply);
    } catch (error) {
      if (!isOutOfReach(error)) throw error;
      unreached = error;
    }
    const newest = await this.#others.newest();
    if (newest !== null) return Response.json(newest);
    throw unreached ?? new AtollError('unavailable', 'this host knows no network yet', 'none');
  }

  /** A page of an export, whose leader is out of reach: as of what this replica has, which the answer says. */
  async #pageHere(copy: PartitionCopy, { type, body }: PartitionMessage): Promise<Response> {
    const { partition, position } = copy;
    // Reference tables are read in the system partition: how far this one has followed them is all the same.
    const request = { ...(JSON.parse(textOf(body)) as ExportPageRequest), system: 0 };
    const answer = position === null ? null : await this.answer(copy, type, JSON.stringify(request));
    if (position === null || answer === null) {
      throw new AtollError(
        'unavailable',
        `the leader of partition ${partition} is out of reach, and the replica here has not applied the schema yet that the others have`,
        'none',
      );
    }
    const response = this.#here(answer);
    response.headers.set(REPLICA_HEADER, `${position.commitId} ${position.timestamp}`);
    return response;
  }

  #here({ status, body }: LocalAnswer): Response {
    this.counts.local++;
    return new Response(body, { status, headers: JSON_HEADERS });
  }

  async #atLeader(partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const { type, body, deadline, trace } = message;
    const { link } = await this.#reach.link(partition, Math.min(deadline, Date.now() + LINK_WAIT_MS));
    this.counts.leader++;
    const data = typeof body === 'string' ? Buffer.from(body) : body;
    try {
      return responseOf(type, await link.call(type, { traceparent: trace }, { data, deadline }));
    } catch (error) {
      // Lost on its way: the router knows what that means for what it has sent.
      if (error instanceof AtollError && error.code === 'unavailable' && error.outcome === 'unknown')
        throw new LostError(`the link to partition ${partition} was lost: ${error.message}`);
      // The caller's token is none of this: the host is no member yet, or no more, and another one may answer.
      if (error instanceof AtollError && error.code === 'forbidden')
        throw new AtollError('unavailable', error.message, 'none');
      throw error;
    }
  }
}

/** The link has ended with the message under way. */
class LostError extends Error {
  override name = 'LostError';
}

/** There is no way to the leader now, or it does not answer. */
function isOutOfReach(error: unknown): boolean {
  if (error instanceof LostError) return true;
  return error instanceof AtollError && (error.code === 'unavailable' || error.code === 'timeout');
}

function responseOf(type: string, { head, data }: Message): Response {
  const { status } = readHead(CarriedReply, type, head);
  return new Response(new Uint8Array(data), { status, headers: JSON_HEADERS });
}

const JSON_HEADERS = { 'content-type': 'application/json' };

function textOf(body: string | Uint8Array): string {
  return typeof body === 'string' ? body : Buffer.from(body).toString();
}

/** Whether the replica may answer; where it executes, the session's demand is checked once more. */
async function isFresh(copy: PartitionCopy, freshness: Freshness, deadline: number): Promise<boolean> {
  if (isFreshNow(copy, freshness)) return true;
  if (freshness.consistency !== 'bounded' || copy.position === null) return false;
  // A partition without writes tells nothing by itself.
  await copy.confirm(deadline).catch(() => undefined);
  return isFreshNow(copy, freshness);
}

function isFreshNow({ position, caughtUpAt }: PartitionCopy, freshness: Freshness): boolean {
  if (position === null) return false;
  const last = { commit: position.commitId, time: position.timestamp };
  return qualifies(freshness, { last, leads: false, caughtUpAt }, Date.now());
}
