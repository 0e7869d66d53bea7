import { type Challenge, EDGE_HOST, type Hello, linkClose, versionsOf } from '../protocol/link.ts';
import { noCommonVersion, refuseOtherHistory } from './accept.ts';
import { decodeStep, encodeStep, freshNonce, HandshakeError, proofText } from './handshake.ts';
import { type HostKey, hostIdOf, isSignedBy } from './host-key.ts';
import type { Secret } from './secret.ts';

/** The side that dials: who it is, and whom it means to reach. */
export interface Dialler {
  readonly key: HostKey;
  readonly secret: Secret;
  readonly database: string;
  /** Of its data; null if it has none yet, and takes any. */
  readonly history: string | null;
  /** Where others reach it; null if nobody does. */
  readonly address: string | null;
  /** Host id that must answer; null for whoever is at the address. */
  readonly expects: string | null;
  /** Versions that it speaks; by default those of this build. */
  readonly versions?: readonly number[];
}

/** Whom a link was opened to. */
export interface Dialled {
  readonly host: string;
  /** Null for the edge. */
  readonly publicKey: string | null;
  readonly version: number;
  readonly history: string | null;
  /** The other host's clock when it answered, Unix milliseconds: for `clock-skew.ts`. */
  readonly time: number;
}

/** The first frame to send, and what to keep for {@link dialChallenge}. */
export function dialHello(dialler: Dialler): { readonly hello: Hello; readonly send: Uint8Array } {
  const { key, database, history, address } = dialler;
  const versions = [...(dialler.versions ?? versionsOf())];
  const hello: Hello = {
    versions,
    host: key.host,
    publicKey: key.publicKey,
    nonce: freshNonce(),
    database,
    history,
    address,
  };
  return { hello, send: encodeStep('hello', hello) };
}

/** The other side's first frame: checks that it belongs, and only then proves the same. Error: HandshakeError. */
export async function dialChallenge(
  dialler: Dialler,
  hello: Hello,
  frame: Uint8Array,
): Promise<{ readonly challenge: Challenge; readonly send: Uint8Array }> {
  const challenge = decodeStep('challenge', frame);
  if (!hello.versions.includes(challenge.version)) throw noCommonVersion([challenge.version], hello.versions);
  await checkServer(dialler, hello, challenge);
  const text = proofText('client', hello, challenge);
  const [proof, signature] = await Promise.all([dialler.secret.prove(text), dialler.key.sign(text)]);
  return { challenge, send: encodeStep('prove', { proof, signature }) };
}

async function checkServer(dialler: Dialler, hello: Hello, challenge: Challenge): Promise<void> {
  const { host, publicKey, signature, proof } = challenge;
  const text = proofText('server', hello, challenge);
  if (!(await dialler.secret.isProof(proof, text))) {
    throw new HandshakeError(linkClose.notAuthentic, `host ${host} does not know the cluster secret`);
  }
  if (host !== EDGE_HOST && (publicKey === null || host !== (await hostIdOf(publicKey)))) {
    throw new HandshakeError(
      linkClose.notAuthentic,
      `host id ${host} does not belong to the key that came with it`,
    );
  }
  if (publicKey !== null && (signature === null || !(await isSignedBy(publicKey, signature, text)))) {
    throw new HandshakeError(linkClose.notAuthentic, `the signature is not by the key of host ${host}`);
  }
  if (dialler.expects !== null && dialler.expects !== host) {
    throw new HandshakeError(
      linkClose.notAuthentic,
      `host ${host} answered where ${dialler.expects} was meant`,
    );
  }
}

/** The other side's second frame: the link is open. Error: HandshakeError. */
export function dialWelcome(dialler: Dialler, challenge: Challenge, frame: Uint8Array): Dialled {
  const { time, history } = decodeStep('welcome', frame);
  refuseOtherHistory(dialler.history, history);
  const { host, publicKey, version } = challenge;
  return { host, publicKey, version, history, time };
}
