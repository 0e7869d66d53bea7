import { rmSync } from 'node:fs';
import type { CommitId, PartitionId } from '../../base/brand.ts';
import { NewerFormatError } from '../../core/replica/format.ts';
import { Replica } from '../../core/replica/replica.ts';
import { type Position, readPosition, termAt } from '../../core/replication/position.ts';
import { SqliteError } from '../../core/sqlite/port.ts';
import { AgentError } from '../agent-error.ts';
import { NodeSqlitePort } from '../sqlite-port.ts';
import { copyDatabase, type SourceFile } from './source-directory.ts';

/** A partition's copy that was found whole. */
export interface Candidate {
  readonly partition: PartitionId;
  /** Where it was found. */
  readonly source: string;
  /** A copy of it that may be changed. */
  readonly file: string;
  readonly database: string;
  readonly history: string;
  readonly position: Position;
  /** Up to which entry of the system partition it is; of the system partition, the last one that others follow. */
  readonly feedIndex: number;
}

/** A file that no longer is a database: https://www.sqlite.org/rescode.html#corrupt. */
const DAMAGED: ReadonlySet<string> = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB']);

/** A file that is of no use, and why. */
export interface Unusable {
  readonly source: string;
  readonly reason: string;
}

/** Copies a file to `to` and looks whether it is a whole replica. The file itself is not opened: SQLite would write beside it. */
export function examine({ path: source, partition }: SourceFile, to: string): Candidate | Unusable {
  copyDatabase(source, to);
  try {
    const check = withPort(to, (port) => String(port.query('PRAGMA quick_check(1)').rows[0]?.[0]));
    if (check !== 'ok') return unusable(source, to, `it is damaged: ${check}`);
    return withReplica(to, (replica) => {
      if (replica === null) return unusable(source, to, 'it holds no whole replica yet');
      const { identity } = replica;
      if (identity.partition !== partition)
        return unusable(source, to, `it is a copy of partition ${identity.partition}`);
      const { database, history } = identity;
      const position = readPosition(replica.port);
      const feedIndex = replica.isSystem ? replica.feedIndex : replica.systemIndex;
      return { partition, source, file: to, database, history, position, feedIndex };
    });
  } catch (error) {
    if (error instanceof NewerFormatError)
      throw new AgentError(`${source}: ${error.message}`, 'recover with the newer Atoll');
    if (error instanceof SqliteError && DAMAGED.has(error.code))
      return unusable(source, to, `it is damaged: ${error.message}`);
    throw error;
  }
}

function unusable(source: string, file: string, reason: string): Unusable {
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
  return { source, reason };
}

/** Opens the file as its leader would. */
export function withReplica<T>(file: string, body: (replica: Replica | null) => T): T {
  return withPort(file, (port) => body(Replica.open(port)));
}

function withPort<T>(file: string, body: (port: NodeSqlitePort) => T): T {
  const port = new NodeSqlitePort(file);
  try {
    return body(port);
  } finally {
    port.close();
  }
}

/** Two copies of a partition that are not of one log. */
export interface Divergence {
  readonly partition: PartitionId;
  readonly chosen: string;
  readonly other: string;
  readonly commit: CommitId;
}

/** The copy with the longest log, and those that contradict it. */
export function longest(copies: readonly Candidate[]): { chosen: Candidate; diverged: Divergence[] } {
  const [chosen, ...others] = [...copies].sort((a, b) => b.position.commitId - a.position.commitId);
  if (chosen === undefined) throw new Error('the longest of no copies');
  const diverged = withReplica(chosen.file, (replica) =>
    others.flatMap(({ partition, source, position: { commitId, term } }) => {
      const own = replica === null ? null : termAt(replica.port, commitId);
      return own === null || own === term
        ? []
        : [{ partition, chosen: chosen.source, other: source, commit: commitId }];
    }),
  );
  return { chosen, diverged };
}
