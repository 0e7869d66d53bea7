import type { PartitionId } from '../base/brand.ts';
import type { Freshness } from '../gateway/freshness.ts';
import { qualifies } from '../gateway/replica-choice.ts';
import type { PartitionMessage, PartitionTransport } from '../gateway/transport.ts';
import { AtollError } from '../protocol/error.ts';
import { CarriedReply } from '../protocol/link.ts';
import { readHead } from '../rpc/read-head.ts';
import type { OpenLink } from './links/open-link.ts';
import { causeOf, type LogEvent } from './log.ts';
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

/** Where the router's messages were answered, since the process started. */
export interface TransportCounts {
  local: number;
  leader: number;
}

/** Partitions as an agent's router reaches them: by the replica that is here where that may answer, else at their leader. */
export class AgentTransport implements PartitionTransport {
  readonly counts: TransportCounts = { local: 0, leader: 0 };
  readonly #reach: Reach;
  readonly #storage: Storage;
  readonly #log: LogEvent;

  constructor(reach: Reach, storage: Storage, log: LogEvent) {
    this.#reach = reach;
    this.#storage = storage;
    this.#log = log;
  }

  async call(database: string, partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const copy = this.#reach.copy(database, partition);
    if (copy !== null && message.freshness !== undefined) {
      const near = (await isFresh(copy, message.freshness, message.deadline))
        ? await this.answer(copy, message.type, textOf(message.body))
        : null;
      if (near !== null) return this.#here(near);
    }
    let link: OpenLink;
    try {
      link = await this.#reach.link(partition, Math.min(message.deadline, Date.now() + LINK_WAIT_MS));
    } catch (error) {
      const kept = copy === null || !CUT_OFF.has(message.type) ? null : await this.#cutOff(copy, message);
      if (kept !== null) return kept;
      throw error;
    }
    return this.#atLeader(link, partition, message);
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
      return null;
    }
  }

  async #cutOff(copy: PartitionCopy, { type, body }: PartitionMessage): Promise<Response | null> {
    const answer = await this.answer(copy, type, textOf(body));
    return answer === null ? null : this.#here(answer);
  }

  #here({ status, body }: LocalAnswer): Response {
    this.counts.local++;
    return new Response(body, { status, headers: JSON_HEADERS });
  }

  async #atLeader({ link }: OpenLink, partition: PartitionId, message: PartitionMessage): Promise<Response> {
    const { type, body, deadline, trace } = message;
    this.counts.leader++;
    const data = typeof body === 'string' ? Buffer.from(body) : body;
    try {
      const reply = await link.call(type, { traceparent: trace }, { data, deadline });
      const { status } = readHead(CarriedReply, type, reply.head);
      return new Response(new Uint8Array(reply.data), { status, headers: JSON_HEADERS });
    } catch (error) {
      // Lost on its way: the router knows what that means for what it has sent.
      if (error instanceof AtollError && error.code === 'unavailable' && error.outcome === 'unknown')
        throw new Error(`the link to partition ${partition} was lost: ${error.message}`);
      throw error;
    }
  }
}

/** What the replica here answers of messages for the leader when that is out of reach: what an export needs, and a router that starts. */
const CUT_OFF: ReadonlySet<string> = new Set(['network', 'export-page']);

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
