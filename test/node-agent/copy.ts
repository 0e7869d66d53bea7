import { present } from '../../src/base/assert.ts';
import type { CommitId } from '../../src/base/brand.ts';
import type { Replica } from '../../src/core/replica/replica.ts';
import { encodeBatch, readBatch } from '../../src/core/replication/shipping.ts';
import type { SnapshotCursor, SnapshotHead } from '../../src/core/replication/snapshot-format.ts';
import { openSnapshot, readSnapshotPage } from '../../src/core/replication/snapshot-source.ts';
import type { PartitionState, SnapshotState } from '../../src/node-agent/storage/calls.ts';
import type { Storage } from '../../src/node-agent/storage/storage.ts';

/** What a leader and a follower say to each other, without anything in between. */
export class Copying {
  readonly storage: Storage;
  readonly file: string;
  readonly leader: Replica;

  constructor(storage: Storage, file: string, leader: Replica) {
    this.storage = storage;
    this.file = file;
    this.leader = leader;
  }

  /** A snapshot from its beginning, or from where it was interrupted. */
  async snapshot(): Promise<PartitionState> {
    const state = await this.storage.call(this.file, 'state');
    let snapshot =
      state.snapshot ?? (await this.storage.call(this.file, 'beginSnapshot', openSnapshot(this.leader)));
    while (snapshot.cursor !== null) snapshot = await this.page(snapshot);
    return this.storage.call(this.file, 'finishSnapshot');
  }

  async page({ head, cursor }: SnapshotState, bytes = 4096): Promise<SnapshotState> {
    const base = (head as SnapshotHead).base.commitId as CommitId;
    const page = readSnapshotPage(this.leader, base, cursor as SnapshotCursor, bytes);
    if (page === 'gone') throw new Error('the snapshot is gone');
    return this.storage.call(this.file, 'acceptPage', page.head, page.data);
  }

  /** All that the leader has; gives the number of batches. */
  async tail(): Promise<number> {
    for (let batches = 0; ; batches++) {
      const { position } = await this.storage.call(this.file, 'state');
      const batch = readBatch(this.leader, present(position, 'a replica'), 4096);
      if (batch === 'up-to-date') return batches;
      if (batch === 'snapshot-needed') throw new Error(batch);
      const { head, data } = encodeBatch(batch);
      await this.storage.call(this.file, 'append', head, data);
    }
  }

  async rows(sql: string): Promise<unknown[][]> {
    const { identity, schema, systemIndex } = this.leader;
    const request = {
      epoch: identity.epoch,
      schema: schema.version,
      system: systemIndex,
      shape: 'query',
      read: true,
      statements: [{ sql }],
    };
    const answer = await this.storage.call(this.file, 'execute', JSON.stringify(request), Date.now());
    if (answer?.status !== 200) throw new Error(JSON.stringify(answer));
    return JSON.parse(answer.body).rows;
  }
}
