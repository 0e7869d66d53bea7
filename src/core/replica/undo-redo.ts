import { present } from '../../base/assert.ts';
import type { CommitId } from '../../base/brand.ts';
import { applyCommit } from '../log/apply.ts';
import { BARRIERS, type Commit } from '../log/commit.ts';
import { readCommit } from '../log/read.ts';
import { readHead } from '../log/tables.ts';
import { undoTo } from '../log/undo.ts';
import type { Replica } from './replica.ts';

/**
 * Undoes up to `count` of the newest commits and applies them again, all in one transaction: a drill of what a
 * leader that is overruled does, for tests and for operators who want to know. Stops before a barrier, which
 * row images cannot undo. Returns how many it undid.
 */
export function undoAndRedo(replica: Replica, count: number): number {
  const { port } = replica;
  try {
    return port.transaction(() => {
      const commits = newestCommits(replica, count);
      const [oldest] = commits;
      if (oldest === undefined) return 0;
      undoTo(port, (oldest.header.commitId - 1) as CommitId);
      for (const commit of commits) applyCommit(port, commit);
      return commits.length;
    });
  } finally {
    replica.reload();
  }
}

/** The newest commits behind the last barrier, oldest first. */
function newestCommits(replica: Replica, count: number): Commit[] {
  const { firstCommitId, lastCommitId } = readHead(replica.port);
  const commits: Commit[] = [];
  for (let id: number = lastCommitId; id >= firstCommitId && commits.length < count; id--) {
    const commit = present(readCommit(replica.port, id as CommitId), () => `commit ${id} is missing`);
    if (BARRIERS.has(commit.header.kind)) break;
    commits.unshift(commit);
  }
  return commits;
}
