import {
  type Accepted,
  type Acceptor,
  type AcceptState,
  acceptHello,
  acceptProve,
} from '../../src/rpc/accept.ts';
import { type Dialled, type Dialler, dialChallenge, dialHello, dialWelcome } from '../../src/rpc/dial.ts';
import { generateHostKey, importHostKey } from '../../src/rpc/host-key.ts';
import { importSecret } from '../../src/rpc/secret.ts';

export const DATABASE = 'main';
export const HISTORY = '54a1d098-6f3e-4a44-9d5a-0d6a2b8c1a11';
const SECRET = 'a secret of this test cluster';

/** The edge, unless told otherwise. */
export async function acceptorOf(changes: Partial<Acceptor> = {}): Promise<Acceptor> {
  return { key: null, secret: await importSecret(SECRET), database: DATABASE, history: HISTORY, ...changes };
}

export async function diallerOf(changes: Partial<Dialler> = {}): Promise<Dialler> {
  return {
    key: await importHostKey(await generateHostKey()),
    secret: await importSecret(SECRET),
    database: DATABASE,
    history: HISTORY,
    address: null,
    expects: null,
    ...changes,
  };
}

/** What may be done to the frames and to the server's state on their way. */
export interface Tampering {
  readonly hello?: (frame: Uint8Array) => Uint8Array;
  readonly challenge?: (frame: Uint8Array) => Uint8Array;
  readonly prove?: (frame: Uint8Array) => Uint8Array;
  readonly welcome?: (frame: Uint8Array) => Uint8Array;
  readonly state?: (state: AcceptState) => AcceptState;
}

/** All of a handshake; the server's state goes through JSON, as in an object that sleeps. */
export async function shakeHands(
  dialler: Dialler,
  acceptor: Acceptor,
  tampering: Tampering = {},
): Promise<{ dialled: Dialled; accepted: Accepted; stateBytes: number }> {
  const same = <T>(value: T) => value;
  const { hello, challenge: onChallenge, prove: onProve, welcome: onWelcome, state: onState } = tampering;
  const first = dialHello(dialler);
  const asked = await acceptHello(acceptor, (hello ?? same)(first.send));
  const text = JSON.stringify((onState ?? same)(asked.state));
  const proving = await dialChallenge(dialler, first.hello, (onChallenge ?? same)(asked.send));
  const state = JSON.parse(text) as AcceptState;
  const { accepted, send } = await acceptProve(
    acceptor,
    state,
    (onProve ?? same)(proving.send),
    1_700_000_000_000,
  );
  return {
    dialled: dialWelcome(dialler, proving.challenge, (onWelcome ?? same)(send)),
    accepted,
    stateBytes: text.length,
  };
}
