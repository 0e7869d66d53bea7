import * as v from 'valibot';
import { decodeFrame, encodeFrame, FrameError } from '../protocol/frame.ts';
import { Challenge, Hello, linkClose, NONCE_BYTES, Prove, Welcome } from '../protocol/link.ts';
import { toBase64Url } from './base64url.ts';

/** Largest frame before the other host is known (chosen: twice the largest {@link Hello}). */
export const HANDSHAKE_BYTES_MAX = 4096;
/** How long either side waits for the other's next frame, ms (chosen: a slow network's three round trips). */
export const HANDSHAKE_MS_MAX = 10_000;

/** The handshake has failed: close the socket with this code, and with the message as the reason. */
export class HandshakeError extends Error {
  override name = 'HandshakeError';
  readonly closeCode: number;

  constructor(closeCode: number, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/** What the frames of a handshake carry, by type: docs/protocol.md, "Handshake". */
const schemas = { hello: Hello, challenge: Challenge, prove: Prove, welcome: Welcome } as const;
type Schemas = typeof schemas;

export function encodeStep<Type extends keyof Schemas>(
  type: Type,
  head: v.InferOutput<Schemas[Type]>,
): Uint8Array {
  return encodeFrame({ kind: 'event', id: 0, deadlineMs: 0, type, head, data: new Uint8Array(0) });
}

/** The message that must come now. Error: HandshakeError. */
export function decodeStep<Type extends keyof Schemas>(
  type: Type,
  bytes: Uint8Array,
): v.InferOutput<Schemas[Type]> {
  const frame = decode(bytes);
  if (frame.kind !== 'event' || frame.type !== type) {
    throw new HandshakeError(linkClose.garbage, `a '${type}' belongs here, not a '${frame.type}'`);
  }
  const read = v.safeParse(schemas[type] as v.GenericSchema, frame.head);
  if (read.success) return read.output as v.InferOutput<Schemas[Type]>;
  const field = v.getDotPath(read.issues[0]) ?? 'itself';
  throw new HandshakeError(linkClose.garbage, `the '${type}' is not of the documented shape: ${field}`);
}

function decode(bytes: Uint8Array) {
  try {
    return decodeFrame(bytes, HANDSHAKE_BYTES_MAX);
  } catch (thrown) {
    if (thrown instanceof FrameError) throw new HandshakeError(linkClose.garbage, thrown.message);
    throw thrown;
  }
}

/** Unguessable, once for each handshake: a proof for one is worth nothing in the next. */
export function freshNonce(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
}

/**
 * What both sides prove: all that they have said, a field a line, so that nobody between them changes a part of it. The
 * first line differs, or a proof could be sent back to who made it.
 */
export function proofText(side: 'client' | 'server', hello: Hello, answer: Answer): string {
  return [
    `atoll link ${side}`,
    answer.version,
    hello.nonce,
    answer.nonce,
    hello.host,
    answer.host,
    hello.versions.join(','),
    hello.publicKey,
    answer.publicKey ?? '',
    hello.database,
    hello.history ?? '',
    hello.address ?? '',
  ].join('\n');
}

export type Answer = Pick<Challenge, 'version' | 'nonce' | 'host' | 'publicKey'>;
