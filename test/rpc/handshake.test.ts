import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame } from '../../src/protocol/frame.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import { acceptHello, acceptProve } from '../../src/rpc/accept.ts';
import { dialHello } from '../../src/rpc/dial.ts';
import { proofText } from '../../src/rpc/handshake.ts';
import { generateHostKey, hostIdOf, importHostKey } from '../../src/rpc/host-key.ts';
import { importSecret } from '../../src/rpc/secret.ts';
import { ROOT } from '../tidy/sources.ts';
import { acceptorOf, diallerOf, HISTORY, shakeHands } from './handshake.ts';

/** The frame with fields of its head changed, as somebody between the two might. */
function changed(fields: Record<string, unknown>): (frame: Uint8Array) => Uint8Array {
  return (bytes) => {
    const frame = decodeFrame(bytes);
    return encodeFrame({ ...frame, head: { ...(frame.head as object), ...fields } });
  };
}

function refused(closeCode: number, message: RegExp) {
  return expect.objectContaining({ closeCode, message: expect.stringMatching(message) });
}

describe('two hosts that know the secret', () => {
  test('know each other afterwards', async () => {
    const dialler = await diallerOf({ address: 'https://a.example:8787' });
    const { dialled, accepted } = await shakeHands(dialler, await acceptorOf());
    const { host, publicKey } = dialler.key;
    expect(accepted).toEqual({
      host,
      publicKey,
      version: RPC_VERSION,
      history: HISTORY,
      address: 'https://a.example:8787',
    });
    expect(dialled).toEqual({
      host: 'edge',
      publicKey: null,
      version: RPC_VERSION,
      history: HISTORY,
      time: 1_700_000_000_000,
    });
  });

  test('the one that is dialled may be an agent, which has a key too', async () => {
    const key = await importHostKey(await generateHostKey());
    const { dialled } = await shakeHands(await diallerOf({ expects: key.host }), await acceptorOf({ key }));
    expect(dialled).toMatchObject({ host: key.host, publicKey: key.publicKey });
  });

  test('one that has no data yet takes any history', async () => {
    const { dialled } = await shakeHands(await diallerOf({ history: null }), await acceptorOf());
    expect(dialled.history).toBe(HISTORY);
    const { accepted } = await shakeHands(await diallerOf(), await acceptorOf({ history: null }));
    expect(accepted.history).toBe(HISTORY);
  });

  test('the state between the frames fits in a socket’s attachment, whatever the fields', async () => {
    const address = `https://${'a'.repeat(504)}`;
    const longest = { database: 'd'.repeat(128), history: 'h'.repeat(64) };
    const key = await importHostKey(await generateHostKey());
    const dialler = await diallerOf({
      ...longest,
      address,
      versions: [1, 2, 3, 4, 5, 6, RPC_VERSION, 999_999],
    });
    const { stateBytes } = await shakeHands(dialler, await acceptorOf({ ...longest, key }));
    expect(stateBytes).toBeLessThan(2048);
  });

  test('fields of a later version are passed over', async () => {
    const { accepted } = await shakeHands(await diallerOf(), await acceptorOf(), {
      hello: changed({ compression: ['zstd'] }),
      challenge: changed({ region: 'eu' }),
      prove: changed({ more: 1 }),
    });
    expect(accepted.version).toBe(RPC_VERSION);
  });
});

test('host id, proofs and signature are those that docs/protocol.md shows', async () => {
  const text = readFileSync(join(ROOT, 'docs/protocol.md'), 'utf8');
  const section = text.slice(text.indexOf('## Handshake'), text.indexOf('## Versions'));
  const rows = new Map(
    [...section.matchAll(/^\| (.+?) +\| `(\S+)` +\|$/gm)].map(([, what, value]) => [what, value]),
  );
  const shown = (what: string) => rows.get(what);
  // RFC 8032 section 7.1, test 1.
  const key = await importHostKey(
    JSON.stringify({
      kty: 'OKP',
      crv: 'Ed25519',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
      d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
    }),
  );
  const { host, publicKey } = key;
  expect([host, publicKey]).toEqual([shown("client's host"), shown("client's publicKey")]);
  const said = { versions: [1], host, publicKey, database: 'main', history: null, address: null };
  const hello = { ...said, nonce: 'A'.repeat(43) };
  const answer = { version: 1, nonce: `${'B'.repeat(42)}A`, host: 'edge', publicKey: null };
  const secret = await importSecret('correct horse battery staple');
  expect(await secret.prove(proofText('server', hello, answer))).toBe(shown("server's proof"));
  expect(await secret.prove(proofText('client', hello, answer))).toBe(shown("client's proof"));
  expect(await key.sign(proofText('client', hello, answer))).toBe(shown("client's signature"));
});

describe('versions', () => {
  test('a host of version 2 and one of version 1 speak version 1, whoever dials', async () => {
    const [one, two] = [{ versions: [1] }, { versions: [2, 1] }];
    for (const [dials, answers] of [
      [one, two],
      [two, one],
    ] as const) {
      const { dialled, accepted } = await shakeHands(await diallerOf(dials), await acceptorOf(answers));
      expect([dialled.version, accepted.version]).toEqual([1, 1]);
    }
  });

  test('two hosts of version 2 speak version 2', async () => {
    const { dialled } = await shakeHands(
      await diallerOf({ versions: [2, 1] }),
      await acceptorOf({ versions: [2, 1] }),
    );
    expect(dialled.version).toBe(2);
  });

  test('hosts with none in common are refused with those of both named', async () => {
    await expect(
      shakeHands(await diallerOf({ versions: [4, 3] }), await acceptorOf({ versions: [2, 1] })),
    ).rejects.toEqual(refused(4426, /you speak version 3 and 4, this host 1 and 2/));
  });

  test('a version that was not offered is refused', async () => {
    const tampering = { challenge: changed({ version: 2 }) };
    const old = await diallerOf({ versions: [1] });
    const acceptor = await acceptorOf({ versions: [2, 1] });
    await expect(shakeHands(old, acceptor, tampering)).rejects.toEqual(refused(4426, /version 2/));
  });

  test('an offer cannot be shortened on its way', async () => {
    const [dialler, acceptor] = [
      await diallerOf({ versions: [2, 1] }),
      await acceptorOf({ versions: [2, 1] }),
    ];
    const tampering = { hello: changed({ versions: [1] }) };
    await expect(shakeHands(dialler, acceptor, tampering)).rejects.toEqual(refused(4401, /secret/));
  });
});

describe('not let in is a host', () => {
  test('with another secret; it learns this without a proof by the server being of use', async () => {
    const dialler = await diallerOf({ secret: await importSecret('another') });
    await expect(shakeHands(dialler, await acceptorOf())).rejects.toEqual(
      refused(4401, /host edge does not know the cluster secret/),
    );
  });

  test('with another secret that does not care about the server’s', async () => {
    const other = await importSecret('another');
    const dialler = await diallerOf({ secret: { ...other, isProof: async () => true } });
    await expect(shakeHands(dialler, await acceptorOf())).rejects.toEqual(
      refused(4401, /proof of the cluster secret/),
    );
  });

  test('with the id of another', async () => {
    const [thief, owner] = [await diallerOf(), await diallerOf()];
    const key = { ...thief.key, host: owner.key.host };
    await expect(shakeHands({ ...thief, key }, await acceptorOf())).rejects.toEqual(
      refused(4401, /host id \w{16} does not belong to the key/),
    );
  });

  test('with the id and the public key of another', async () => {
    const [thief, owner] = [await diallerOf(), await diallerOf()];
    const key = { ...thief.key, host: owner.key.host, publicKey: owner.key.publicKey };
    await expect(shakeHands({ ...thief, key }, await acceptorOf())).rejects.toEqual(
      refused(4401, /signature is not by the key of host/),
    );
  });

  test('that repeats what another said to this server before', async () => {
    const [dialler, acceptor] = [await diallerOf(), await acceptorOf()];
    const heard: Uint8Array[] = [];
    const listen = (frame: Uint8Array) => {
      heard.push(frame);
      return frame;
    };
    await shakeHands(dialler, acceptor, { hello: listen, prove: listen });
    const [hello, prove] = heard as [Uint8Array, Uint8Array];
    const { state } = await acceptHello(acceptor, hello);
    await expect(acceptProve(acceptor, state, prove, 0)).rejects.toEqual(refused(4401, /proof/));
  });

  test('that sends the server’s own proof back to it', async () => {
    let proof = '';
    const tampering = {
      challenge: (frame: Uint8Array) => {
        proof = (decodeFrame(frame).head as { proof: string }).proof;
        return frame;
      },
      prove: (frame: Uint8Array) => changed({ proof })(frame),
    };
    await expect(shakeHands(await diallerOf(), await acceptorOf(), tampering)).rejects.toEqual(
      refused(4401, /proof/),
    );
  });

  test('of another database, or of another history of this one', async () => {
    await expect(shakeHands(await diallerOf({ database: 'other' }), await acceptorOf())).rejects.toEqual(
      refused(4409, /this is database main, not other/),
    );
    await expect(shakeHands(await diallerOf({ history: 'restored' }), await acceptorOf())).rejects.toEqual(
      refused(4409, /history restored met data of history 54a1/),
    );
  });
});

describe('a host that dials does not go on with', () => {
  test('one that is not the one it means', async () => {
    const dialler = await diallerOf({ expects: '0000000000000000' });
    await expect(shakeHands(dialler, await acceptorOf())).rejects.toEqual(
      refused(4401, /host edge answered where/),
    );
  });

  test('one of another history, even if that one would', async () => {
    const tampering = { welcome: changed({ history: 'another' }) };
    await expect(shakeHands(await diallerOf(), await acceptorOf(), tampering)).rejects.toEqual(
      refused(4409, /history another met data of history 54a1/),
    );
  });

  test('an agent with the id of another, or that shows no key', async () => {
    const [own, other] = [(await diallerOf()).key, (await diallerOf()).key];
    for (const key of [
      { ...own, host: other.host },
      { ...own, host: other.host, publicKey: other.publicKey },
    ]) {
      await expect(shakeHands(await diallerOf(), await acceptorOf({ key }))).rejects.toEqual(
        refused(4401, /does not belong to the key|signature/),
      );
    }
    await expect(
      shakeHands(await diallerOf(), await acceptorOf({ key: own }), {
        challenge: changed({ publicKey: null }),
      }),
    ).rejects.toEqual(refused(4401, /./));
  });
});

describe('what is no handshake', () => {
  test('is refused as garbage', async () => {
    const acceptor = await acceptorOf();
    const { send } = dialHello(await diallerOf());
    const wrong = [
      new Uint8Array(),
      new Uint8Array(5000),
      send.subarray(1),
      changed({ versions: [] })(send),
      changed({ versions: 'all' })(send),
      changed({ host: 'me' })(send),
      changed({ publicKey: 'AAAA' })(send),
      changed({ publicKey: `${'A'.repeat(42)}B` })(send),
      changed({ nonce: 1 })(send),
      changed({ database: 'a\nb' })(send),
      encodeFrame({ kind: 'call', id: 1, deadlineMs: 0, type: 'hello', head: null, data: new Uint8Array() }),
      encodeFrame({ kind: 'event', id: 0, deadlineMs: 0, type: 'prove', head: null, data: new Uint8Array() }),
      encodeFrame({
        kind: 'event',
        id: 0,
        deadlineMs: 0,
        type: 'hello',
        head: [[[]]],
        data: new Uint8Array(),
      }),
    ];
    for (const frame of wrong) await expect(acceptHello(acceptor, frame)).rejects.toEqual(refused(4400, /./));
  });

  test('is refused too where the key is no point of the curve', async () => {
    for (const byte of ['_', 'A', '8']) {
      const publicKey = `${byte.repeat(42)}8`;
      const key = { host: await hostIdOf(publicKey), publicKey, sign: async () => `${'A'.repeat(85)}A` };
      await expect(shakeHands(await diallerOf({ key }), await acceptorOf())).rejects.toEqual(
        refused(4401, /signature/),
      );
    }
  });
});
