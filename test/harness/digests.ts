import type { CommitId } from '../../src/base/brand.ts';
import { dump, dumpFingerprint } from '../../src/core/log/dump.ts';
import { encodeCommit } from '../../src/core/log/encoding.ts';
import { fingerprint } from '../../src/core/log/fingerprint.ts';
import { readCommit } from '../../src/core/log/read.ts';
import { readHead } from '../../src/core/log/tables.ts';
import { BOOKKEEPING } from '../../src/core/replica/bookkeeping.ts';
import type { Replica } from '../../src/core/replica/replica.ts';
import { SYSTEM_TABLES } from '../../src/core/replica/system-tables.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { shapeOf } from './model.ts';

/** What a replica holds, of users' and Atoll's own logged tables, and its schema. */
export function digestOf({ port, isSystem, schema }: Replica): string {
  const tables = [...BOOKKEEPING, ...(isSystem ? SYSTEM_TABLES : []), ...schema.catalogue.tables];
  return `${dumpFingerprint(dump(port, tables))} of schema ${schema.version} ${fingerprint(encoder.encode(shapeOf(port)))}`;
}

const encoder = new TextEncoder();

/** The state of every leader after every step, by its last commit: what any copy that is as far must hold. */
export class Digests {
  readonly #known = new Map<string, string>();

  note(replica: Replica): void {
    const key = keyOf(replica);
    if (!this.#known.has(key)) this.#known.set(key, digestOf(replica));
  }

  /** False where the leader was never looked at with that commit as its last. */
  check(replica: Replica, what: string): boolean {
    const key = keyOf(replica);
    const expected = this.#known.get(key);
    if (expected === undefined) return false;
    const found = digestOf(replica);
    if (found !== expected)
      throw new Error(`${what}: digest at ${key} is ${found}, the leader's was ${expected}`);
    return true;
  }
}

function keyOf({ port, identity }: Replica): string {
  return `${identity.partition}/${readHead(port).lastCommitId}`;
}

/** Entries of which both have are the same. */
export function checkSameLog(leader: SqlitePort, copy: SqlitePort, what: string): void {
  const [ours, theirs] = [readHead(leader), readHead(copy)];
  const first = Math.max(ours.firstCommitId, theirs.firstCommitId);
  for (let id = first; id <= ours.lastCommitId; id++) {
    const [a, b] = [leader, copy].map((port) => readCommit(port, id as CommitId));
    if (a == null || b == null) throw new Error(`${what}: commit ${id} is missing`);
    if (fingerprint(encodeCommit(a)) !== fingerprint(encodeCommit(b)))
      throw new Error(`${what}: commit ${id} is not the leader's`);
  }
}
