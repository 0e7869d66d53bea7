import { murmur3 } from '../schema/token.ts';
import { encodeUtf8 } from '../sqlite/utf8.ts';

/** Seeds of the two halves of a hash: fractional bits of π and e. */
const SEED_HIGH = 0x243f6a88;
const SEED_LOW = 0xb7e15162;

/**
 * The order in which hosts are asked to hold a key: highest score first. Rendezvous hashing (D. Thaler, C. V.
 * Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM Transactions on Networking 6(1),
 * 1998) scores each host by a hash of host and key. The score of weight w and hash h is −w / ln h (J. Resch, "New
 * Hashing Algorithms for Data Storage", SNIA SDC 2015): the reciprocal of the logarithmic distance of
 * C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005. −ln h is exponentially distributed,
 * so that a host wins a key with a probability of its share of all weights, and a changed weight moves only keys
 * from or to its own host.
 */
export class Rendezvous {
  /** Room for the key, then the host's name. */
  private readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(host: string) {
    const name = encodeUtf8(host);
    this.bytes = new Uint8Array(4 + name.length);
    this.bytes.set(name, 4);
    this.view = new DataView(this.bytes.buffer);
  }

  /**
   * Of a key 0 … 2^32 − 1; 0 for weight 0. The hash has 52 bits and lies strictly between 0 and 1. Logarithms are
   * not exactly specified by ECMAScript: engines may differ in the last bit, which decides between equals only.
   */
  score(key: number, weight: number): number {
    this.view.setUint32(0, key);
    const high = murmur3(this.bytes, this.bytes.length, SEED_HIGH);
    const low = murmur3(this.bytes, this.bytes.length, SEED_LOW);
    const hash = (high * 2 ** 20 + (low >>> 12) + 0.5) / 2 ** 52;
    return weight / -Math.log(hash);
  }
}
