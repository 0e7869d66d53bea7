import { expect, test } from 'vitest';
import type { PartitionId } from '../../src/base/brand.ts';
import type { PartitionMessage } from '../../src/gateway/transport.ts';
import { AgentTransport } from '../../src/node-agent/agent-transport.ts';
import type { OpenLink } from '../../src/node-agent/links/open-link.ts';
import type { Storage } from '../../src/node-agent/storage/storage.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';

/** A transport whose leader speaks `version`, and what has reached that leader. */
function transportTo(version: number): { transport: AgentTransport; reached: string[] } {
  const reached: string[] = [];
  const link = {
    peer: { host: 'edge', publicKey: null, version },
    call: async (type: string) => {
      reached.push(type);
      return { head: { status: 200 }, data: new Uint8Array() };
    },
  };
  const reach = { copy: () => null, link: async () => ({ link }) as unknown as OpenLink };
  const others = {
    leader: 'edge',
    candidates: async () => [],
    ask: () => Promise.reject(new Error('nobody')),
    newest: async () => null,
    learned: () => undefined,
  };
  const transport = new AgentTransport(reach, {} as Storage, () => undefined, others);
  return { transport, reached };
}

function message(type: string): PartitionMessage {
  return { type, body: '{}', deadline: Date.now() + 10_000, trace: '' };
}

test('a leader of an older version is not sent what it might half understand, and is sent everything else', async () => {
  const { transport, reached } = transportTo(RPC_VERSION - 1);
  await expect(transport.call('main', 1 as PartitionId, message('transact'))).rejects.toMatchObject({
    code: 'unsupported',
    outcome: 'none',
    message: expect.stringContaining(`version ${RPC_VERSION - 1} of the protocol, this host ${RPC_VERSION}`),
  });
  for (const type of ['execute', 'import-chunk', 'interactive-begin'])
    await transport.call('main', 1 as PartitionId, message(type));
  expect(reached).toEqual(['execute', 'import-chunk', 'interactive-begin']);
});

test('one of the same version is sent all', async () => {
  const { transport, reached } = transportTo(RPC_VERSION);
  await transport.call('main', 1 as PartitionId, message('transact'));
  expect(reached).toEqual(['transact']);
});
