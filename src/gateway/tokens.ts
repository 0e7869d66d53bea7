import * as v from 'valibot';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { AtollError } from '../protocol/error.ts';
import type { TokenRecord } from '../protocol/token.ts';
import { roles } from './auth/role.ts';
import { importSigningKey } from './auth/signing-key.ts';
import { signToken } from './auth/token.ts';
import { READ } from './lost.ts';
import { parse } from './request.ts';
import type { Session } from './statements.ts';

/** Longest life of a token, seconds (chosen: ten years). */
const LIFE_SECONDS_MAX = 315_360_000;

const Grant = v.strictObject({
  role: v.picklist(roles),
  databases: v.optional(v.nullable(v.array(v.string()))),
  expiresInSeconds: v.optional(
    v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(LIFE_SECONDS_MAX))),
  ),
});

/** `POST /v1/tokens {role, databases?, expiresInSeconds?}` → `{id, token}`; the token is shown this once. */
export async function createToken({ database, context }: Session, body: unknown): Promise<unknown> {
  const { role, databases = null, expiresInSeconds = null } = parse(Grant, body);
  const { value } = await database.ask<{ value: string | null }>(
    SYSTEM_PARTITION,
    'setting',
    { name: 'signing_key' },
    context,
    READ,
  );
  if (value === null) throw new AtollError('not-found', 'this cluster has no signing key');
  const now = Date.now();
  const expiresAtMs = expiresInSeconds === null ? null : now + expiresInSeconds * 1000;
  const { token, id } = await signToken(await importSigningKey(value), { role, databases, expiresAtMs }, now);
  const record: TokenRecord = {
    id,
    role,
    databases,
    createdAt: new Date(now).toISOString(),
    expiresAt: expiresAtMs === null ? null : new Date(expiresAtMs).toISOString(),
    revokedAt: null,
  };
  await database.ask(SYSTEM_PARTITION, 'token-made', record, context, {
    access: 'write',
    advice: 'make another; one that nobody has seen does no harm',
  });
  return { ...record, token };
}

export async function listTokens({ database, context }: Session): Promise<unknown> {
  return { tokens: await database.ask<TokenRecord[]>(SYSTEM_PARTITION, 'tokens', {}, context, READ) };
}

/** Ends a token; other routers learn of it within seconds. */
export async function revokeToken({ database, context }: Session, id: string): Promise<unknown> {
  const { revoked } = await database.ask<{ revoked: boolean }>(
    SYSTEM_PARTITION,
    'token-revoke',
    { id },
    context,
    { access: 'write', advice: 'look at GET /v1/tokens' },
  );
  if (!revoked) throw new AtollError('not-found', `there is no token ${id}`);
  await database.catchUp(context);
  return { revoked: id };
}
