import type { CommitId } from '../../src/base/brand.ts';
import { ByteWriter } from '../../src/core/log/bytes.ts';
import { decodeCommit, encodeCommit } from '../../src/core/log/encoding.ts';
import { fingerprint } from '../../src/core/log/fingerprint.ts';
import { DELETE_BEFORE } from '../../src/core/log/image.ts';
import { readHead } from '../../src/core/log/tables.ts';
import type { Follower } from '../../src/core/replication/follower.ts';
import type { Answer } from '../../src/core/replication/shipper.ts';
import type { AppendBatch } from '../../src/core/replication/shipping.ts';
import type { SnapshotPage } from '../../src/core/replication/snapshot-format.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import type { Outside } from './agent-copy.ts';

/** Where the planted defects of a copy sit; without one, everything passes as it is. */
export class CopyMutations {
  readonly #outside: Outside;

  constructor(outside: Outside) {
    this.#outside = outside;
  }

  append(follower: Follower, batch: AppendBatch): Answer {
    const { mutant } = this.#outside;
    const { port } = follower.replica;
    let answer = follower.append(batch);
    if (mutant === 'duplicate-applied' && answer.kind === 'stale' && batch.piece === null) {
      answer = follower.append(asNext(follower, batch));
    } else if (mutant === 'gap-skipped' && answer.kind === 'gap' && batch.piece === null) {
      skipTo(port, batch);
      answer = follower.append(batch);
    } else if (mutant === 'no-before-image' && answer.kind === 'appended') {
      port.query(`DELETE FROM _atoll_log WHERE image % 4 = ${DELETE_BEFORE}`);
    }
    return answer;
  }

  earlyAnswer(follower: Follower, { previous, entries, piece }: AppendBatch): Answer | null {
    if (this.#outside.mutant !== 'ack-before-durable' || piece !== null) return null;
    const position = follower.position();
    const last = entries.at(-1);
    if (last === undefined || previous.commitId !== position.commitId || previous.term !== position.term)
      return null;
    const { commitId, term, timestamp } = decodeCommit(last).header;
    return { kind: 'appended', position: { commitId, term, timestamp, offset: 0 } };
  }

  page(page: SnapshotPage): SnapshotPage {
    const { mutant, random } = this.#outside;
    const { cursor } = page.head;
    if (mutant !== 'snapshot-page-lost' || cursor.phase !== 'rows' || cursor.table < 3 || random.chance(0.5))
      return page;
    const data = new ByteWriter().finish();
    return { head: { ...page.head, fingerprint: fingerprint(data) }, data };
  }

  /** The file of a snapshot that is finished, before it is used. */
  finished(port: SqlitePort, partition: number): void {
    if (this.#outside.mutant !== 'tail-from-base') return;
    const { lastCommitId } = readHead(port);
    const before = this.#outside.entryBefore(partition, lastCommitId);
    if (before === null) return;
    port.query(
      'UPDATE _atoll_head SET last_commit_id = ?1 - 1, first_commit_id = ?1, base_term = ?2, base_timestamp = ?3, last_timestamp = ?3',
      lastCommitId,
      before.term,
      before.timestamp,
    );
  }
}

/** The same changes under the next commit ids. */
function asNext(follower: Follower, batch: AppendBatch): AppendBatch {
  const position = follower.position();
  const entries = batch.entries.map((bytes, index) => {
    const { header, changes } = decodeCommit(bytes);
    const commitId = (position.commitId + index + 1) as CommitId;
    return encodeCommit({ header: { ...header, commitId }, changes });
  });
  return { ...batch, previous: { commitId: position.commitId, term: position.term }, entries };
}

function skipTo(port: SqlitePort, { previous }: AppendBatch): void {
  port.query('DELETE FROM _atoll_commits');
  port.query(
    'UPDATE _atoll_head SET last_commit_id = ?1, first_commit_id = ?1 + 1, base_term = ?2',
    previous.commitId,
    previous.term,
  );
}
