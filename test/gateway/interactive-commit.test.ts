import { expect, test } from 'vitest';
import { createGateway } from '../../src/gateway/app.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';

async function ask(action: 'commit' | 'rollback' | 'query'): Promise<{ status: number; error: unknown }> {
  const gateway = createGateway({
    transport: { call: () => Promise.reject(new Error('connection refused')) },
    staticToken: 'token',
    corsOrigins: [],
    seal: new SessionSeal(null),
  });
  const id = `ade39aaf63f52c5057bf1db9-1-13-${Date.now()}`;
  const response = await gateway.fetch(
    new Request(`http://router/v1/transactions/${id}/${action}`, {
      method: 'POST',
      headers: { authorization: 'Bearer token', 'content-type': 'application/json' },
      body: JSON.stringify(action === 'query' ? { sql: 'SELECT 1' } : {}),
    }),
  );
  const { error } = (await response.json()) as { error: unknown };
  return { status: response.status, error };
}

test('a router that reaches nobody does not say that a commit failed, which an earlier request may have brought about', async () => {
  expect(await ask('commit')).toMatchObject({
    status: 503,
    error: { code: 'unavailable', outcome: 'unknown' },
  });
  for (const action of ['rollback', 'query'] as const)
    expect(await ask(action)).toMatchObject({ status: 503, error: { code: 'unavailable', outcome: 'none' } });
});
