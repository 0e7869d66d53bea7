import { assert } from '../../base/assert.ts';
import { murmur3 } from '../schema/token.ts';
import { encodeUtf8 } from '../sqlite/utf8.ts';
import {
  DOCUMENT_BYTES_MAX,
  documentDefect,
  type GossipDocument,
  type GossipMessage,
} from './gossip-message.ts';

export interface GossipSend {
  readonly to: string;
  readonly message: GossipMessage;
}

export type GossipEvent =
  /** A newer document is in force from now on. */
  | { readonly kind: 'taken'; readonly document: GossipDocument }
  /** Another body under a version that this host has: a defect, or another cluster. Nothing was taken. */
  | { readonly kind: 'conflict'; readonly version: number; readonly theirs: string; readonly own: string }
  /** A document that is not what it says, or that the host's own check refuses. Nothing was taken. */
  | { readonly kind: 'defect'; readonly version: number; readonly reason: string };

export interface GossipReceipt {
  readonly send: readonly GossipSend[];
  readonly event: GossipEvent | null;
}

export interface GossipOptions {
  readonly host: string;
  /** What the host knows already, from its disk; it is not news. */
  readonly document: GossipDocument | null;
  /** Why a document must not be taken (not a network information, another history); null if it may be. */
  readonly check: (document: GossipDocument) => string | null;
}

/** Chosen: useless contacts until a host loses interest. The paper's residue for k = 4 is e^−5, 0.7 % of the hosts. */
export const DECAY_START = 4;
/** Chosen: a host without news compares digests with somebody once in so many ticks, each host at its own. */
export const ANTI_ENTROPY_TICKS = 4;
/** Chosen: for so many ticks a requested document is not requested again elsewhere. */
const REQUEST_TICKS = 2;

const NOT_REQUESTED = { version: 0, tick: 0 } as const;
const NOTHING = { version: 0, size: 0, checksum: '' } as const;

/**
 * Spreads the newest version of one document between hosts that cannot ask its owner. A. Demers et al., "Epidemic
 * Algorithms for Replicated Database Maintenance", PODC 1987:
 *
 * - Rumor mongering with feedback and a counter (section 1.4): who has news tells a random host per tick. Each contact
 *   that knew it, or did not answer, lowers the counter, here _decay_; at 0 the host keeps the document and is
 *   silent. So every message's life ends, and no clock is needed.
 * - Anti-entropy by digest (section 1.3), pushing and pulling, reaches those whom the rumor has missed.
 *
 * Digests travel first, so that the body goes only to those who lack it. Versions only rise: whatever comes late,
 * twice or out of order, a host never goes back. State is small; time is counted in ticks, which are the heartbeats.
 */
export class Gossip {
  readonly host: string;
  private known: GossipDocument | null;
  private readonly check: GossipOptions['check'];
  private readonly phase: number;
  private ticks = 0;
  private decayLeft = 0;
  /** Whether the last digest that told news is unanswered. */
  private waiting = false;
  private requested: { readonly version: number; readonly tick: number } = NOT_REQUESTED;
  /** The last document that was refused, not to be requested again. */
  private refused: { readonly version: number; readonly checksum: string } = NOTHING;

  constructor({ host, document, check }: GossipOptions) {
    const defect = document === null ? null : documentDefect(document);
    assert(defect === null, () => `the known document: ${defect}`);
    this.host = host;
    this.known = document;
    this.check = check;
    this.phase = murmur3(encodeUtf8(host)) % ANTI_ENTROPY_TICKS;
  }

  /** The newest that this host may act on. */
  get document(): GossipDocument | null {
    return this.known;
  }

  /** What is left of the news' life here; 0 if there is none to tell. */
  get decay(): number {
    return this.decayLeft;
  }

  /** `peers` can be reached now; the host itself among them is passed over. `chance` gives numbers in [0, 1). */
  tick(peers: readonly string[], chance: () => number): readonly GossipSend[] {
    this.ticks++;
    if (this.waiting) this.loseInterest();
    const telling = this.decayLeft > 0;
    if (!telling && this.ticks % ANTI_ENTROPY_TICKS !== this.phase) return [];
    const to = this.pick(peers, chance());
    if (to === null) return [];
    this.waiting = telling;
    return [{ to, message: this.digest(this.decayLeft) }];
  }

  /** The host itself has a document, from the owner: to be told if it is newer. Same rules as for what others tell. */
  changed(document: GossipDocument): GossipEvent | null {
    return this.take(document);
  }

  receive(from: string, message: GossipMessage): GossipReceipt {
    if (from === this.host) return { send: [], event: null };
    const reply = (answer: GossipMessage | null, event: GossipEvent | null = null): GossipReceipt => ({
      send: answer === null ? [] : [{ to: from, message: answer }],
      event,
    });
    switch (message.kind) {
      case 'digest':
        return reply(this.answer(message), this.conflict(message));
      case 'known':
        if (message.version === this.version() && this.waiting) this.loseInterest();
        return reply(null);
      case 'request':
        this.waiting = false;
        if (this.known === null || this.known.version < message.version) return reply(null);
        return reply({ kind: 'document', document: this.known });
      case 'document':
        return reply(null, this.take(message.document));
    }
  }

  private answer({
    version,
    size,
    checksum,
    decay,
  }: GossipMessage & { kind: 'digest' }): GossipMessage | null {
    const own = this.version();
    // The other side asks for the document if it does not get it elsewhere at the same time.
    if (version < own) return this.digest(0);
    if (version === own)
      return decay > 0 && this.known?.checksum === checksum ? { kind: 'known', version } : null;
    const { refused, requested } = this;
    if (size > DOCUMENT_BYTES_MAX) return null;
    if (version === refused.version && checksum === refused.checksum) return null;
    if (version <= requested.version && this.ticks - requested.tick < REQUEST_TICKS) return null;
    this.requested = { version, tick: this.ticks };
    return { kind: 'request', version };
  }

  private take(document: GossipDocument): GossipEvent | null {
    const { version, checksum, size } = document;
    if (version < this.version()) return null;
    if (version === this.version()) return this.conflict(document);
    const tooLarge = size > DOCUMENT_BYTES_MAX ? `${size} bytes are too many` : null;
    const reason = tooLarge ?? documentDefect(document) ?? this.check(document);
    if (reason !== null) {
      this.refused = { version, checksum };
      this.requested = NOT_REQUESTED;
      return { kind: 'defect', version, reason };
    }
    this.known = document;
    this.decayLeft = DECAY_START;
    this.waiting = false;
    return { kind: 'taken', document };
  }

  private conflict(theirs: { readonly version: number; readonly checksum: string }): GossipEvent | null {
    const own = this.known;
    if (own === null || own.version !== theirs.version || own.checksum === theirs.checksum) return null;
    return { kind: 'conflict', version: own.version, theirs: theirs.checksum, own: own.checksum };
  }

  private loseInterest(): void {
    this.waiting = false;
    this.decayLeft = Math.max(0, this.decayLeft - 1);
  }

  private version(): number {
    return this.known?.version ?? 0;
  }

  private digest(decay: number): GossipMessage {
    const { version, size, checksum } = this.known ?? NOTHING;
    return { kind: 'digest', version, size, checksum, decay };
  }

  /** A peer by chance; null if there is none. If chance hits the host itself, its successor stands in. */
  private pick(peers: readonly string[], chance: number): string | null {
    const at = Math.floor(chance * peers.length);
    const peer = peers[at];
    if (peer !== this.host) return peer ?? null;
    return peers.length === 1 ? null : (peers[(at + 1) % peers.length] ?? null);
  }
}
