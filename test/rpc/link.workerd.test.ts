import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX, FrameError } from '../../src/protocol/frame.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import { generateHostKey, importHostKey } from '../../src/rpc/host-key.ts';
import { Link } from '../../src/rpc/link.ts';
import { importSecret } from '../../src/rpc/secret.ts';
import { acceptorOf, diallerOf, HISTORY, shakeHands } from './handshake.ts';

/** What depends on the runtime: its cryptography, its UTF-8, its sockets. */
describe('inside workerd', () => {
  test('frames are the same bytes', () => {
    const frame = {
      kind: 'event',
      id: 0,
      deadlineMs: 0,
      type: 'append',
      head: { partition: 3, text: 'é' },
      data: Uint8Array.from([0, 1, 254, 255]),
    } as const;
    const bytes = encodeFrame(frame);
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    expect(hex).toBe(
      'a701010300000000000000000006617070656e640000001b' +
        '7b22706172746974696f6e223a332c2274657874223a22c3a9227d000000040001feffb0a7d678',
    );
    expect(decodeFrame(bytes)).toEqual(frame);
    bytes[20] = 0x60;
    expect(() => decodeFrame(bytes)).toThrow(FrameError);
  });

  test('hosts know each other by secret and key', async () => {
    const key = await importHostKey(await generateHostKey());
    const { dialled, accepted } = await shakeHands(await diallerOf(), await acceptorOf({ key }));
    expect(dialled).toMatchObject({ host: key.host, version: RPC_VERSION, history: HISTORY });
    expect(accepted.host).toMatch(/^[0-9a-z]{16}$/);
  });

  test('wrong secrets, stolen keys and keys that are none are refused', async () => {
    const acceptor = await acceptorOf();
    const [thief, owner] = [await diallerOf(), await diallerOf()];
    const other = await importSecret('another');
    const { host, publicKey } = owner.key;
    const wrong = [
      { ...thief, secret: other },
      { ...thief, secret: { ...other, isProof: async () => true } },
      { ...thief, key: { ...thief.key, host } },
      { ...thief, key: { ...thief.key, host, publicKey } },
    ];
    for (const dialler of wrong) {
      await expect(shakeHands(dialler, acceptor)).rejects.toMatchObject({ closeCode: 4401 });
    }
  });

  test('a link carries calls over a WebSocket, larger than a frame too', async () => {
    const { 0: near, 1: far } = new WebSocketPair();
    const linkOf = (socket: WebSocket, host: string) => {
      const link = new Link(
        socket,
        { host, publicKey: null, version: RPC_VERSION },
        {
          calls: { double: ({ data }) => ({ head: 'twice', data: new Uint8Array(2 * data.length) }) },
          events: {},
        },
        { failed: (thrown) => expect.unreachable(String(thrown)) },
      );
      socket.binaryType = 'arraybuffer';
      socket.addEventListener('message', ({ data }) => {
        if (data instanceof ArrayBuffer) link.receive(new Uint8Array(data));
      });
      socket.addEventListener('close', ({ code, reason }) => link.closed(`${code} ${reason}`));
      socket.accept();
      return link;
    };
    const [left, right] = [linkOf(near, 'edge'), linkOf(far, 'a')];
    const { head, data } = await left.call('double', null, { data: new Uint8Array(FRAME_BYTES_MAX) });
    expect([head, data.length]).toEqual(['twice', 2 * FRAME_BYTES_MAX]);
    right.close(4400, 'no more');
    await expect.poll(() => left.isOpen).toBe(false);
    await expect(left.call('double', null)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
