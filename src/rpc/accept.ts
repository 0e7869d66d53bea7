import { commonVersion, EDGE_HOST, type Hello, linkClose, versionsOf } from '../protocol/link.ts';
import { type Answer, decodeStep, encodeStep, freshNonce, HandshakeError, proofText } from './handshake.ts';
import { type HostKey, hostIdOf, isSignedBy } from './host-key.ts';
import type { Secret } from './secret.ts';

/** The side that is dialled: who it is, and whom it takes. */
export interface Acceptor {
  /** Null: this is the edge. */
  readonly key: HostKey | null;
  readonly secret: Secret;
  readonly database: string;
  /** Of its data; null if it has none yet, and takes any. */
  readonly history: string | null;
  /** Versions that it speaks; by default those of this build. */
  readonly versions?: readonly number[];
}

/** Between the two frames of the other side. Plain JSON of less than 2,048 bytes: an object may sleep meanwhile, with this as the socket's attachment. */
export interface AcceptState {
  readonly hello: Hello;
  readonly answer: Answer;
}

/** Who has been let in. */
export interface Accepted {
  readonly host: string;
  readonly publicKey: string;
  readonly version: number;
  readonly history: string | null;
  readonly address: string | null;
}

/**
 * First frame of the other side: what to send, and what to keep for {@link acceptProve}. Nothing is proved by it.
 * Error: HandshakeError.
 */
export async function acceptHello(
  acceptor: Acceptor,
  frame: Uint8Array,
): Promise<{ readonly state: AcceptState; readonly send: Uint8Array }> {
  const hello = decodeStep('hello', frame);
  const spoken = acceptor.versions ?? versionsOf();
  const version = commonVersion(spoken, hello.versions);
  if (version === null) throw noCommonVersion(hello.versions, spoken);
  if (hello.host !== (await hostIdOf(hello.publicKey))) {
    throw new HandshakeError(
      linkClose.notAuthentic,
      `host id ${hello.host} does not belong to the key that came with it`,
    );
  }
  const { key, secret } = acceptor;
  const answer: Answer = {
    version,
    nonce: freshNonce(),
    host: key?.host ?? EDGE_HOST,
    publicKey: key?.publicKey ?? null,
  };
  const text = proofText('server', hello, answer);
  const [proof, signature] = await Promise.all([secret.prove(text), key === null ? null : key.sign(text)]);
  return { state: { hello, answer }, send: encodeStep('challenge', { ...answer, proof, signature }) };
}

/**
 * Second frame of the other side: who it is, and the frame that opens the link. `nowMs`: this host's clock, Unix
 * milliseconds. A state is good for one call. Error: HandshakeError.
 */
export async function acceptProve(
  acceptor: Acceptor,
  { hello, answer }: AcceptState,
  frame: Uint8Array,
  nowMs: number,
): Promise<{ readonly accepted: Accepted; readonly send: Uint8Array }> {
  const { proof, signature } = decodeStep('prove', frame);
  const text = proofText('client', hello, answer);
  if (!(await acceptor.secret.isProof(proof, text))) {
    throw new HandshakeError(linkClose.notAuthentic, 'the proof of the cluster secret is wrong');
  }
  if (!(await isSignedBy(hello.publicKey, signature, text))) {
    throw new HandshakeError(linkClose.notAuthentic, `the signature is not by the key of host ${hello.host}`);
  }
  // Only who belongs to the cluster is told what is in it.
  if (hello.database !== acceptor.database) {
    throw new HandshakeError(
      linkClose.otherHistory,
      `this is database ${acceptor.database}, not ${hello.database}`,
    );
  }
  refuseOtherHistory(acceptor.history, hello.history);
  const { host, publicKey, history, address } = hello;
  return {
    accepted: { host, publicKey, version: answer.version, history, address },
    send: encodeStep('welcome', { time: nowMs, history: acceptor.history }),
  };
}

export function refuseOtherHistory(ours: string | null, theirs: string | null): void {
  if (ours === null || theirs === null || ours === theirs) return;
  throw new HandshakeError(linkClose.otherHistory, `data of history ${theirs} met data of history ${ours}`);
}

export function noCommonVersion(theirs: readonly number[], ours: readonly number[]): HandshakeError {
  const [their, our] = [theirs, ours].map((versions) => [...versions].sort((a, b) => a - b).join(' and '));
  return new HandshakeError(
    linkClose.version,
    `you speak version ${their}, this host ${our}: upgrade the older`,
  );
}
