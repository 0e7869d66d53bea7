import type { SchemaVersion } from '../../base/brand.ts';

/**
 * The public id of an interactive transaction: `{name}-{schema}-{memory}-{begun}`. Opaque to clients. It says what a router,
 * which keeps nothing, must know to plan for the transaction, and what tells a keeper that has lost its memory from an id
 * that was never given out.
 */
export interface InteractiveId {
  /** 96 random bits, hexadecimal: names the keeper, by the owner of the first 32 as a token, and the transaction in logs. */
  readonly name: string;
  readonly schema: SchemaVersion;
  /** Names the keeper's memory, by chance: another number says that this one has been lost. */
  readonly memory: number;
  /** Unix ms. */
  readonly begunMs: number;
}

const ID = /^([0-9a-f]{24})-(\d{1,15})-(\d{1,15})-(\d{1,15})$/;

export function formatInteractiveId({ name, schema, memory, begunMs }: InteractiveId): string {
  return `${name}-${schema}-${memory}-${begunMs}`;
}

/** Null: it is none. */
export function parseInteractiveId(text: string): InteractiveId | null {
  const [, name, schema, memory, begunMs] = ID.exec(text) ?? [];
  if (name === undefined) return null;
  return {
    name,
    schema: Number(schema) as SchemaVersion,
    memory: Number(memory),
    begunMs: Number(begunMs),
  };
}

/**
 * Name of an attempt to commit it, as two-phase commit and the log know it: 32 hexadecimal digits, the first of which are the
 * transaction's. So the log tells by itself whether it was committed, whatever was lost.
 */
export function attemptName(name: string, attempt: number): string {
  return name + attempt.toString(16).padStart(8, '0');
}
