import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DataDirectory, replaceFile } from '../data-directory.ts';

/** The static admin token, and what hosts that join must know; also the names of their files in the data directory. */
export type CredentialName = 'token' | 'secret';

/** What lets others in, and where this host has it from. */
export interface Credential {
  readonly text: string;
  /** By whoever started the agent, by an earlier start, or by this one. */
  readonly origin: 'given' | 'kept' | 'made';
  /** Where it lies, unless it was given. */
  readonly file: string;
}

/**
 * What was given goes first. Where it is left out when a cluster is founded it is made, and kept for later starts; never later: hosts
 * that have joined know the one of then. Null: there is none.
 */
export function credential(
  { path }: DataDirectory,
  name: CredentialName,
  { given, founds }: { readonly given: string | null; readonly founds: boolean },
): Credential | null {
  const file = join(path, name);
  if (given !== null) return { text: given, origin: 'given', file };
  const kept = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (kept !== '') return { text: kept, origin: 'kept', file };
  if (!founds) return null;
  const made = randomBytes(32).toString('base64url');
  replaceFile(file, `${made}\n`);
  return { text: made, origin: 'made', file };
}
