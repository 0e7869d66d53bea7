import { expect, test } from 'vitest';
import { isSpoken, RPC_VERSION, unspoken } from '../../src/protocol/rpc.ts';

test('a host answers its own version', () => {
  expect(isSpoken(String(RPC_VERSION))).toBe(true);
});

test('and the one before it, while a deploy is under way', () => {
  expect(isSpoken(String(RPC_VERSION - 1))).toBe(true);
  expect(isSpoken(String(RPC_VERSION - 2))).toBe(false);
});

test('a newer version, none, and nonsense are refused with both versions named, nothing applied', () => {
  for (const version of [String(RPC_VERSION + 1), null, '', '1.0', 'x'])
    expect(isSpoken(version)).toBe(false);
  expect(unspoken(String(RPC_VERSION + 1))).toMatchObject({
    outcome: 'none',
    message: expect.stringMatching(
      `version ${RPC_VERSION + 1}, this host speaks ${RPC_VERSION - 1} and ${RPC_VERSION}`,
    ),
  });
});
