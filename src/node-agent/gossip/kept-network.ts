import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { documentOf } from '../../core/network/gossip-message.ts';
import { replaceFile } from '../data-directory.ts';
import { type LogEvent, messageOf } from '../log.ts';
import { networkDocument, readNetworkDocument } from './network-document.ts';
import type { Reply } from './newest-network.ts';

/**
 * The newest network information that this host has not from its own replica, which is durable by itself: so that a host
 * that starts again does not act on an older one than before.
 */
export class KeptNetwork {
  readonly #file: string;

  constructor(directory: string) {
    this.#file = join(directory, 'network.json');
  }

  /** Where the disk takes nothing now, the host has it in memory, and goes on. */
  keep(reply: Reply, log: LogEvent): void {
    const { version, body } = networkDocument(reply);
    try {
      replaceFile(this.#file, `${version}\n${body}\n`);
    } catch (error) {
      log('warn', 'network-not-kept', { file: this.#file, version, message: messageOf(error) });
    }
  }

  /** Null if nothing was kept. What cannot be read is worth nothing: the replica is there, and the others are. */
  read(log: LogEvent): Reply | null {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const [version = '', body = ''] = text.split('\n');
    const reply = readNetworkDocument(documentOf(Number(version), body));
    if (typeof reply !== 'string') return reply;
    log('warn', 'kept-network-unreadable', { file: this.#file, reason: reply });
    return null;
  }
}
