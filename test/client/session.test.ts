import { afterEach, describe, expect, test } from 'vitest';
import type { CommitId, PartitionId } from '../../src/base/brand.ts';
import { createClient } from '../../src/client/index.ts';
import { encodeSeen } from '../../src/protocol/session.ts';
import { type FakeHandler, type FakeServer, failure, fakeServer } from './fake-server.ts';

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function client(handler: FakeHandler) {
  server = await fakeServer(handler);
  const { requests } = server;
  const sent = () => requests.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  return { db: createClient({ url: server.url, attemptsMax: 1 }), sent };
}

const token = (partition: number, commit: number, history = 'h') =>
  encodeSeen(history, partition as PartitionId, commit as CommitId, 0, '');
const answer = (session: string) => ({
  body: { columns: [], rows: [], results: [], rowsAffected: 0, lastInsertRowid: null, session },
});

describe('a session', () => {
  test('reads from any replica, and sends what the answer before has brought', async () => {
    const answers = [token(1, 5), token(1, 6)];
    const { db, sent } = await client(() => answer(answers.shift() as string));
    const session = db.session();
    expect(session.token).toBeUndefined();
    await session.query('INSERT …');
    expect(session.token).toBe(token(1, 5));
    await session.batch(['SELECT 1']);
    expect(session.token).toBe(token(1, 6));
    expect(sent()).toEqual([
      { sql: 'INSERT …', consistency: 'session', idempotencyKey: expect.any(String) },
      { statements: [{ sql: 'SELECT 1' }], session: token(1, 5), consistency: 'session' },
    ]);
  });

  test('keeps what every one of several requests at a time has seen, in whatever order they end', async () => {
    const held: (() => void)[] = [];
    const answers = [token(1, 5), token(2, 7), token(1, 3)];
    const { db, sent } = await client(
      () =>
        new Promise((resolve) => {
          const reply = answer(answers.shift() as string);
          held.push(() => resolve(reply));
          if (held.length === 3) for (const release of held.reverse()) release();
        }),
    );
    const session = db.session();
    await Promise.all([session.query('SELECT 1'), session.query('SELECT 2'), session.query('SELECT 3')]);
    const all = new Set(session.token?.split(','));
    expect(all).toEqual(new Set([token(1, 5), token(2, 7), token(1, 3)]));
    answers.push(token(3, 1));
    const last = session.query('SELECT 4');
    await expect.poll(() => held.length).toBe(4);
    held[3]?.();
    await last;
    expect(new Set(String(sent()[3]?.session).split(','))).toEqual(all);
    // Its answer has seen all that was sent with it.
    expect(session.token).toBe(token(3, 1));
  });

  test('goes on from a token, and keeps it when a request fails', async () => {
    const { db, sent } = await client(() => failure(409, { code: 'constraint' }));
    const session = db.session({ token: token(1, 5) });
    await expect(session.query('INSERT …')).rejects.toMatchObject({ code: 'constraint' });
    expect(session.token).toBe(token(1, 5));
    expect(sent()[0]).toMatchObject({ session: token(1, 5) });
  });

  test('has a consistency of its own, which a call may change together with its bound', async () => {
    const { db, sent } = await client(() => answer(token(1, 5)));
    const session = db.session({ consistency: 'bounded', maxStalenessMs: 100 });
    await session.query('SELECT 1');
    await session.query('SELECT 1', [], { consistency: 'strong' });
    expect(sent()[0]).toEqual({ sql: 'SELECT 1', consistency: 'bounded', maxStalenessMs: 100 });
    expect(sent()[1]).toEqual({ sql: 'SELECT 1', consistency: 'strong', session: token(1, 5) });
  });
});
