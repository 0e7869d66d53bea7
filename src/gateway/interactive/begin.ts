import type { InteractiveBegin, InteractiveBegun } from '../../protocol/interactive.ts';
import { authorize } from '../auth/principal.ts';
import type { Call } from '../call.ts';
import { READ } from '../lost.ts';
import { askKeeper, keeperOf } from './keeper-call.ts';
import { readBegin } from './request.ts';

/** `POST /v1/transactions {}` */
export async function beginInteractive(call: Call): Promise<Response> {
  const principal = await call.principal();
  const { timeoutMs } = readBegin(await call.json());
  const session = { database: call.database, principal, context: call.context(timeoutMs) };
  authorize(principal, call.database.name, 'read');
  const known = await call.database.network(session.context);
  const message: InteractiveBegin = {
    name: randomName(),
    principal: principal.id,
    schema: known.schema.version,
  };
  const keeper = keeperOf(message.name, known);
  // Lost, it leaves a transaction behind that nobody knows of, which expires.
  const { id, expiresMs } = await askKeeper<InteractiveBegun>(
    { session, keeper },
    'interactive-begin',
    message,
    READ,
  );
  return Response.json({ id, expiresAt: new Date(expiresMs).toISOString() });
}

/** 96 random bits. */
function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
