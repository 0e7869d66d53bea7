import { AtollError } from '../../protocol/error.ts';
import { hostMessage, type Relay } from '../../protocol/hosts.ts';
import type { Message } from '../../rpc/link.ts';
import type { OpenLink } from '../links/open-link.ts';
import { type LogEvent, messageOf } from '../log.ts';
import type { PeerLinks } from './peer-links.ts';

const NO_DATA = new Uint8Array(0);
/** What a message that needs no answer may take, ms (chosen). */
const TELL_MS = 5_000;

export interface PeerCallsOptions {
  readonly links: PeerLinks;
  /** The link to the system partition, if it is open: it hands on what cannot go directly. */
  readonly control: () => OpenLink | null;
  readonly log: LogEvent;
}

/** Calls between agents: over their own link where there is a way, else handed on by the system partition, which has a link of both. */
export class PeerCalls {
  readonly #options: PeerCallsOptions;

  constructor(options: PeerCallsOptions) {
    this.#options = options;
  }

  /**
   * `deadline`: Unix ms. Error: what the host answers; AtollError `unavailable`, outcome `none` if it cannot be reached, else
   * `unknown`; `timeout`. `again`: nobody else has answered, so that one that could not be dialled a moment ago is dialled once more.
   */
  async call(
    host: string,
    type: string,
    head: unknown,
    data: Uint8Array,
    deadline: number,
    again = false,
  ): Promise<Message> {
    const { links, control } = this.#options;
    const open = await links.to(host, deadline, again && control() === null);
    if (open === null) return this.#relay(host, type, head, data, deadline);
    try {
      return await open.link.call(type, head, { data, deadline });
    } catch (error) {
      // It may be gone without a word.
      if (error instanceof AtollError && error.code === 'timeout') open.ping();
      throw error;
    }
  }

  /** Sends what needs no answer, and may be lost. */
  tell(host: string, type: string, head: unknown): void {
    const told = async (): Promise<void> => {
      const deadline = Date.now() + TELL_MS;
      const open = await this.#options.links.to(host, deadline);
      if (open !== null) open.link.event(type, head);
      else await this.#relay(host, type, head, NO_DATA, deadline);
    };
    told().catch((error: unknown) =>
      this.#options.log('debug', 'peer-not-told', { host, type, message: messageOf(error) }),
    );
  }

  async #relay(
    to: string,
    type: string,
    head: unknown,
    data: Uint8Array,
    deadline: number,
  ): Promise<Message> {
    const control = this.#options.control();
    if (control === null)
      throw new AtollError('unavailable', `there is no way to host ${to} at the moment`, 'none');
    const relay: Relay = { to, type, head };
    return control.link.call(hostMessage.relay, relay, { data, deadline });
  }
}
