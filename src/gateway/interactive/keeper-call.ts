import type { PartitionId, Token } from '../../base/brand.ts';
import { type InteractiveId, parseInteractiveId } from '../../core/transaction/interactive-id.ts';
import { AtollError } from '../../protocol/error.ts';
import type { InteractiveMessage } from '../../protocol/interactive.ts';
import { authorize } from '../auth/principal.ts';
import { readError } from '../database.ts';
import type { KnownNetwork } from '../known-network.ts';
import { type Effect, lostAnswer } from '../lost.ts';
import type { Session } from '../statements.ts';
import type { EndRequest } from './request.ts';

/** The keeper has no transaction of that id in its memory. */
export class UnknownTransactionError extends AtollError {
  override name = 'UnknownTransactionError';
}

/** A transaction as its router sees it, which keeps nothing of it. */
export interface Addressed {
  readonly session: Session;
  readonly known: KnownNetwork;
  readonly text: string;
  readonly id: InteractiveId;
  readonly keeper: PartitionId;
}

/** The partition that keeps the transaction of that name: whoever owns its first 32 bits as a token. */
export function keeperOf(name: string, known: KnownNetwork): PartitionId {
  return known.tokens.partitionOf(Number.parseInt(name.slice(0, 8), 16) as Token);
}

/** @throws AtollError `not-found` for what is no id */
export async function addressed(session: Session, text: string): Promise<Addressed> {
  const { database, principal, context } = session;
  authorize(principal, database.name, 'read');
  const id = parseInteractiveId(text);
  if (id === null) {
    throw new AtollError(
      'not-found',
      'there is no such transaction: its id is what POST /v1/transactions has answered',
    );
  }
  let known = await database.network(context);
  if (known.schema.version < id.schema) known = await database.refresh(context);
  return { session, known, text, id, keeper: keeperOf(id.name, known) };
}

/** What every message to the keeper begins with. */
export function messageTo({ session, known, text }: Addressed, { seq }: EndRequest): InteractiveMessage {
  const { principal } = session;
  return {
    id: text,
    principal: principal.id,
    schema: known.schema.version,
    ...(seq !== undefined && { seq }),
  };
}

/** Sends a message to the keeper, once. @throws AtollError */
export async function askKeeper<Answer>(
  { session, keeper }: Pick<Addressed, 'session' | 'keeper'>,
  type: string,
  message: unknown,
  effect: Effect,
): Promise<Answer> {
  const { database, context } = session;
  const response = await database
    .call(keeper, type, JSON.stringify(message), context)
    .catch((error: unknown) => {
      throw lostAnswer(error, keeper, effect);
    });
  if (response.ok) return (await response.json()) as Answer;
  const error = await readError(response);
  const { code, message: text, outcome, detail } = error;
  if (detail?.known === false) {
    // Not for clients, who would learn whether somebody else's is there.
    const { known: _, ...shown } = detail;
    throw new UnknownTransactionError(code, text, outcome, shown);
  }
  // Whoever runs the transaction again is to begin it with the newest schema.
  if (code === 'schema-conflict') await database.refresh(context);
  throw lostAnswer(error, keeper, effect);
}
