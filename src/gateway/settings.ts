import * as v from 'valibot';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { AtollError } from '../protocol/error.ts';
import { RETENTION_LIMITS, type RetentionReply, type RetentionRequest } from '../protocol/settings.ts';
import { type Effect, READ } from './lost.ts';
import { parse } from './request.ts';
import type { Session } from './statements.ts';

const { seconds, bytes } = RETENTION_LIMITS;

const Settings = v.strictObject({
  logRetentionSeconds: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(seconds.min), v.maxValue(seconds.max)),
  ),
  logRetentionBytes: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(bytes.min), v.maxValue(bytes.max)),
  ),
});

/** `GET /v1/settings` → `{logRetentionSeconds, logRetentionBytes}`. */
export async function readSettings(session: Session): Promise<unknown> {
  return shown(await ask(session, {}, READ));
}

/** `PUT /v1/settings` changes those that it names → all of them, and the partitions that do not know yet. */
export async function changeSettings(session: Session, body: unknown): Promise<unknown> {
  const { logRetentionSeconds, logRetentionBytes } = parse(Settings, body);
  if (logRetentionSeconds === undefined && logRetentionBytes === undefined) {
    throw new AtollError('bad-request', 'say what to set: logRetentionSeconds, logRetentionBytes');
  }
  const set = {
    ...(logRetentionSeconds !== undefined && { milliseconds: logRetentionSeconds * 1000 }),
    ...(logRetentionBytes !== undefined && { bytes: logRetentionBytes }),
  };
  const reply = await ask(session, { set }, { access: 'write', advice: 'look at GET /v1/settings' });
  return { ...shown(reply), pending: reply.pending };
}

function ask(
  { database, context }: Session,
  request: RetentionRequest,
  effect: Effect,
): Promise<RetentionReply> {
  return database.ask<RetentionReply>(SYSTEM_PARTITION, 'retention', request, context, effect);
}

function shown({ milliseconds, bytes: logRetentionBytes }: RetentionReply) {
  return { logRetentionSeconds: milliseconds / 1000, logRetentionBytes };
}
