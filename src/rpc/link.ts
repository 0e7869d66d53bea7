import { assert } from '../base/assert.ts';
import { AtollError, toAtollError } from '../protocol/error.ts';
import { ERROR_TYPE, type Frame, FrameError, MESSAGE_BYTES_MAX } from '../protocol/frame.ts';
import { linkClose } from '../protocol/link.ts';
import { AnsweredCalls } from './answered.ts';
import { type LinkClock, systemClock } from './clock.ts';
import { closeReason } from './close-reason.ts';
import { errorHead, readErrorHead } from './error-head.ts';
import { Assembler, encodeMessage } from './parts.ts';

/** Where a link's frames go; those of the other side come by {@link Link.receive}. */
export interface LinkSocket {
  send(bytes: Uint8Array): void;
  close(code: number, reason: string): void;
}

/** The other host, as the handshake has proved it. */
export interface LinkPeer {
  readonly host: string;
  /** Raw Ed25519 in base64url; null for the edge. */
  readonly publicKey: string | null;
  /** The newest version of the protocol that both sides speak. */
  readonly version: number;
}

export interface Message {
  /** Any JSON value. */
  readonly head: unknown;
  readonly data: Uint8Array;
}

/** `deadline`: Unix milliseconds after which nobody waits. What it throws is answered as an error. */
export type CallHandler = (message: Message, from: LinkPeer, deadline: number) => Promise<Message> | Message;
export type EventHandler = (message: Message, from: LinkPeer) => void;

export interface LinkHandlers {
  /** By type of message. Heads are not validated yet. */
  readonly calls: Readonly<Record<string, CallHandler>>;
  /** Takes the calls that have no handler of their own. */
  readonly anyCall?: (type: string, message: Message, from: LinkPeer, deadline: number) => Promise<Message>;
  /** Events of other types are passed over: a later version may send them. */
  readonly events: Readonly<Record<string, EventHandler>>;
}

export interface LinkOptions {
  /** For the host's log: what a handler threw that is no AtollError, and the type of the message. */
  readonly failed: (thrown: unknown, type: string) => void;
  /** The link has ended, by either side; once. */
  readonly ended?: (reason: string) => void;
  readonly clock?: LinkClock;
  /** Calls in progress in either direction, each. */
  readonly callsMax?: number;
  /** Largest message that comes; also the data of all calls in progress together, but for a single one. */
  readonly messageBytesMax?: number;
}

export interface CallOptions {
  readonly data?: Uint8Array;
  /** Unix milliseconds; by default {@link CALL_MS_DEFAULT} from now. */
  readonly deadline?: number;
}

/** Calls of one link in progress in one direction (chosen: the clients of an agent that passes all of them on). */
export const CALLS_MAX = 1024;
/** How long a call without a deadline is waited for, by both sides, ms (chosen: as the public API's default). */
export const CALL_MS_DEFAULT = 30_000;
const UINT32 = 2 ** 32;

interface Pending {
  readonly type: string;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: AtollError) => void;
  readonly cancelTimer: () => void;
}

/**
 * One side of an open link, after the handshake: calls with replies and events, both ways. Nothing is sent again by itself;
 * what was not answered when a link ends is the caller's to judge.
 */
export class Link {
  readonly peer: LinkPeer;
  readonly #socket: LinkSocket;
  readonly #handlers: LinkHandlers;
  readonly #options: LinkOptions;
  readonly #clock: LinkClock;
  readonly #callsMax: number;
  readonly #bytesMax: number;
  readonly #assembler: Assembler;
  readonly #pending = new Map<number, Pending>();
  readonly #answered = new AnsweredCalls();
  /** Of the data of the other side's calls in progress. */
  #bytesInProgress = 0;
  #lastId: number;
  #endedWhy: string | null = null;

  constructor(socket: LinkSocket, peer: LinkPeer, handlers: LinkHandlers, options: LinkOptions) {
    this.peer = peer;
    this.#socket = socket;
    this.#handlers = handlers;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#callsMax = options.callsMax ?? CALLS_MAX;
    this.#bytesMax = options.messageBytesMax ?? MESSAGE_BYTES_MAX;
    this.#assembler = new Assembler(this.#bytesMax);
    // An object that slept makes a new Link for a socket on which ids were used: by the clock it goes on above them.
    this.#lastId = this.#clock.now() % UINT32;
  }

  get isOpen(): boolean {
    return this.#endedWhy === null;
  }

  /** Every message of the socket, in order. Never throws for what the other side has sent. */
  receive(bytes: Uint8Array): void {
    if (!this.isOpen) return;
    let frame: Frame | null;
    try {
      frame = this.#assembler.add(bytes);
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) throw thrown;
      this.close(linkClose.garbage, thrown.message);
      return;
    }
    if (frame === null) return;
    if (frame.kind === 'event') this.#takeEvent(frame);
    else if (frame.kind === 'call') void this.#takeCall(frame);
    else this.#takeReply(frame);
  }

  /**
   * Sends a message and waits for its reply. Errors: what the other side answers; `timeout`; `overloaded`, not sent, when
   * too many are in progress; `too-large`; `unavailable`, with the outcome `none` if it was not sent, else `unknown`.
   */
  async call(type: string, head: unknown, { data = NO_DATA, deadline }: CallOptions = {}): Promise<Message> {
    assert(type !== ERROR_TYPE, 'no call has the type of errors');
    const refused = this.#refusal(type, deadline);
    if (refused !== null) throw refused;
    const leftMs = Math.min(UINT32 - 1, Math.ceil((deadline ?? Infinity) - this.#clock.now()));
    const deadlineMs = deadline === undefined ? CALL_MS_DEFAULT : leftMs;
    const id = this.#freshId();
    const frames = encodeMessage({ kind: 'call', id, deadlineMs, type, head, data });
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const cancelTimer = this.#clock.after(deadlineMs, () => {
      this.#pending.delete(id);
      reject(
        new AtollError('timeout', `host ${this.peer.host} has not answered '${type}' in ${deadlineMs} ms`),
      );
    });
    this.#pending.set(id, { type, resolve, reject, cancelTimer });
    this.#send(frames);
    return promise;
  }

  #refusal(type: string, deadline: number | undefined): AtollError | null {
    const { host } = this.peer;
    if (this.#endedWhy !== null) {
      return new AtollError('unavailable', `the link to host ${host} is closed: ${this.#endedWhy}`, 'none');
    }
    if (deadline !== undefined && deadline <= this.#clock.now()) {
      return new AtollError('timeout', `no time was left to send '${type}' to host ${host}`, 'none');
    }
    if (this.#pending.size < this.#callsMax) return null;
    return new AtollError('overloaded', `${this.#callsMax} calls wait for host ${host} already`, 'none');
  }

  /** Sends what needs no reply; lost if the link is closed. */
  event(type: string, head: unknown, data: Uint8Array = NO_DATA): void {
    if (this.isOpen) this.#send(encodeMessage({ kind: 'event', id: 0, deadlineMs: 0, type, head, data }));
  }

  /** Ends the link from this side. */
  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.closed(reason);
    this.#socket.close(code, closeReason(reason));
  }

  /** The socket is gone: what waits for an answer fails, with an unknown outcome. */
  closed(reason: string): void {
    if (!this.isOpen) return;
    this.#endedWhy = reason;
    for (const { type, reject, cancelTimer } of this.#pending.values()) {
      cancelTimer();
      const lost = `the link to host ${this.peer.host} closed before it answered '${type}': ${reason}`;
      reject(new AtollError('unavailable', lost, 'unknown'));
    }
    this.#pending.clear();
    this.#options.ended?.(reason);
  }

  #send(frames: readonly Uint8Array[]): void {
    try {
      for (const frame of frames) this.#socket.send(frame);
    } catch (thrown) {
      this.closed(`its socket takes nothing: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }

  /** Ids rise, so that those that the other side remembers are not met again. */
  #freshId(): number {
    do {
      this.#lastId = (this.#lastId + 1) % UINT32;
    } while (this.#lastId === 0 || this.#pending.has(this.#lastId));
    return this.#lastId;
  }

  #takeReply({ id, type, head, data }: Frame): void {
    const pending = this.#pending.get(id);
    // Nobody waits any more, or the reply came twice.
    if (pending === undefined) return;
    this.#pending.delete(id);
    pending.cancelTimer();
    if (type === ERROR_TYPE) pending.reject(readErrorHead(head));
    else pending.resolve({ head, data });
  }

  #takeEvent({ type, head, data }: Frame): void {
    if (!Object.hasOwn(this.#handlers.events, type)) return;
    try {
      this.#handlers.events[type]?.({ head, data }, this.peer);
    } catch (thrown) {
      this.#options.failed(thrown, type);
    }
  }

  async #takeCall({ id, deadlineMs, type, head, data }: Frame): Promise<void> {
    if (this.#isRepeat(id, type)) return;
    const overload = this.#overload(data.length);
    if (overload !== null) {
      this.#send(errorReply(id, overload));
      return;
    }
    this.#answered.begin(id, type);
    this.#bytesInProgress += data.length;
    const deadline = this.#clock.now() + (deadlineMs === 0 ? CALL_MS_DEFAULT : deadlineMs);
    const reply = await this.#reply(id, type, { head, data }, deadline);
    this.#bytesInProgress -= data.length;
    this.#answered.answer(id, reply);
    if (this.isOpen) this.#send(reply);
  }

  /** Why a call with that much data is not begun; nothing of it was done. */
  #overload(bytes: number): AtollError | null {
    const { inProgress } = this.#answered;
    const isTooMuch = inProgress > 0 && this.#bytesInProgress + bytes > this.#bytesMax;
    if (inProgress < this.#callsMax && !isTooMuch) return null;
    const held = `${inProgress} calls with ${this.#bytesInProgress} bytes`;
    return new AtollError('overloaded', `${held} of this link are in progress already`);
  }

  /** Whether the call came before; then it is answered as it was, or will be when the first one is. */
  #isRepeat(id: number, type: string): boolean {
    const known = this.#answered.of(id);
    if (known === null) return false;
    if (known.type !== type) {
      this.close(linkClose.garbage, `call ${id} was a '${known.type}' and is now a '${type}'`);
    } else if (known.kind === 'answered') {
      this.#send(known.reply);
    } else if (known.kind === 'forgotten') {
      this.#send(
        errorReply(id, new AtollError('unknown-outcome', `the answer to this '${type}' was sent before`)),
      );
    }
    return true;
  }

  async #reply(id: number, type: string, message: Message, deadline: number): Promise<Uint8Array[]> {
    try {
      const { head, data } = await this.#handle(type, message, deadline);
      return encodeReply({ kind: 'reply', id, deadlineMs: 0, type, head, data });
    } catch (thrown) {
      if (!(thrown instanceof AtollError)) this.#options.failed(thrown, type);
      return errorReply(id, toAtollError(thrown));
    }
  }

  #handle(type: string, message: Message, deadline: number): Promise<Message> | Message {
    const { calls, anyCall } = this.#handlers;
    const handler = Object.hasOwn(calls, type) ? calls[type] : undefined;
    if (handler !== undefined) return handler(message, this.peer, deadline);
    if (anyCall !== undefined) return anyCall(type, message, this.peer, deadline);
    throw new AtollError('unsupported', `this host takes no '${type}'`);
  }
}

const NO_DATA = new Uint8Array(0);

/** What was asked for is done by now: that its answer is too large says nothing else. */
function encodeReply(frame: Frame): Uint8Array[] {
  try {
    return encodeMessage(frame);
  } catch (thrown) {
    if (!(thrown instanceof AtollError)) throw thrown;
    throw new AtollError('result-too-large', `the answer cannot be sent: ${thrown.message}`, 'unknown');
  }
}

function errorReply(id: number, error: AtollError): Uint8Array[] {
  const head = errorHead(error);
  return encodeMessage({ kind: 'reply', id, deadlineMs: 0, type: ERROR_TYPE, head, data: NO_DATA });
}
