import { assert } from '../../base/assert.ts';
import type { PartitionId } from '../../base/brand.ts';
import type {
  SnapshotCursor,
  SnapshotHead,
  SnapshotPageHead,
} from '../../core/replication/snapshot-format.ts';
import { replicationMessage, SnapshotOpenReply, SnapshotPageReply } from '../../protocol/replication.ts';
import type { Link, Message } from '../../rpc/link.ts';
import { readHead } from '../../rpc/read-head.ts';
import type { PartitionState, SnapshotState } from '../storage/calls.ts';
import type { Storage } from '../storage/storage.ts';

export interface SnapshotFetch {
  readonly link: Link;
  readonly storage: Storage;
  readonly file: string;
  readonly partition: PartitionId;
  /** Bytes of pages that have come, in all; after each. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Fetches a snapshot into the partition's file, from where an earlier attempt was interrupted, and puts it into the
 * replica's place. The next page travels while one is written.
 *
 * @throws AtollError of the link; StorageError
 */
export async function fetchSnapshot(
  fetch: SnapshotFetch,
  begun: SnapshotState | null,
): Promise<PartitionState> {
  const { storage, file } = fetch;
  let snapshot = begun ?? (await open(fetch));
  let bytes = 0;
  while (snapshot.cursor !== null) {
    const { base } = snapshot.head as SnapshotHead;
    let cursor = snapshot.cursor as SnapshotCursor | null;
    let arriving = cursor === null ? null : requestPage(fetch, base.commitId, cursor);
    while (arriving !== null) {
      const page = await arriving;
      if (page === 'gone') {
        snapshot = await open(fetch);
        bytes = 0;
        break;
      }
      const head = page.head as SnapshotPageHead;
      cursor = head.next;
      arriving = cursor === null ? null : requestPage(fetch, base.commitId, cursor);
      // Until it is awaited, its failure is nobody's.
      arriving?.catch(() => undefined);
      bytes += page.data.byteLength;
      snapshot = await storage.call(file, 'acceptPage', head, page.data);
      fetch.onBytes(bytes);
      assert(
        JSON.stringify(snapshot.cursor) === JSON.stringify(cursor),
        'the page that was asked for has come',
      );
    }
  }
  return storage.call(file, 'finishSnapshot');
}

async function open({ link, storage, file, partition }: SnapshotFetch): Promise<SnapshotState> {
  const reply = await link.call(replicationMessage.snapshotOpen, { partition });
  const { snapshot } = readHead(SnapshotOpenReply, replicationMessage.snapshotOpen, reply.head);
  return storage.call(file, 'beginSnapshot', snapshot);
}

async function requestPage(
  { link, partition }: SnapshotFetch,
  base: number,
  cursor: SnapshotCursor,
): Promise<Message | 'gone'> {
  const reply = await link.call(replicationMessage.snapshotPage, { partition, base, cursor });
  const read = readHead(SnapshotPageReply, replicationMessage.snapshotPage, reply.head);
  return read.kind === 'gone' ? 'gone' : { head: read.page, data: reply.data };
}
