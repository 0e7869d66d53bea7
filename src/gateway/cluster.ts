import * as v from 'valibot';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import type { Catalogue } from '../core/schema/catalogue.ts';
import type { FoundRequest, NetworkReply } from '../protocol/network.ts';
import { generateSigningKey } from './auth/signing-key.ts';
import type { CallContext, Database } from './database.ts';
import type { KnownNetwork } from './known-network.ts';
import { parse } from './request.ts';

/** Imposed by nothing; more copies than that are a mistake (chosen). */
const REPLICAS_MAX = 64;

const Init = v.strictObject({
  partitions: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024)),
  replicas: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(REPLICAS_MAX))),
});

/** `POST /v1/init {partitions, replicas?}`: makes a deployed Worker a cluster. Repeated, it answers the network that exists. */
export async function foundCluster(
  database: Database,
  body: unknown,
  context: CallContext,
): Promise<KnownNetwork> {
  const { partitions, replicas } = parse(Init, body);
  const message = await foundRequest(database.name, partitions, replicas);
  const reply = await database.ask<NetworkReply<Catalogue>>(SYSTEM_PARTITION, 'found', message, context, {
    access: 'write',
    advice: 'call init again, it does no harm',
  });
  return database.install(reply);
}

/** What the system partition must be told to become that of a new database. The keys are used if it is not one already. */
export async function foundRequest(
  database: string,
  partitions: number,
  replicas?: number,
): Promise<FoundRequest> {
  const { privateJwk, publicJwk } = await generateSigningKey();
  return {
    database,
    partitions,
    settings: {
      signing_key: privateJwk,
      verifying_key: publicJwk,
      ...(replicas !== undefined && { replicas: String(replicas) }),
    },
  };
}
