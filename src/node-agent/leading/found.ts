import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { assert, present } from '../../base/assert.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { foundRequest } from '../../gateway/cluster.ts';
import { AtollError } from '../../protocol/error.ts';
import type { NetworkReply } from '../../protocol/network.ts';
import { AgentError } from '../agent-error.ts';
import { type DataDirectory, type Founding, partitionFile, syncDirectory } from '../data-directory.ts';
import type { LedPartitions } from './led-partitions.ts';

/**
 * Founds the cluster that the directory's record has begun, as `atoll init` does where the edge leads: the system partition is told, and
 * creates the others. What an interrupted run has done already stays. The record says last that the cluster is whole.
 */
export async function foundHere(
  directory: DataDirectory,
  { database, partitions }: Founding,
  led: LedPartitions,
): Promise<void> {
  const files = dirname(partitionFile(directory.path, { database, partition: SYSTEM_PARTITION }));
  mkdirSync(files, { recursive: true, mode: 0o700 });
  const request = await foundRequest(database, partitions);
  const { network } = await led
    .call<NetworkReply>(database, SYSTEM_PARTITION, 'found', request)
    .catch((error: unknown) => {
      throw error instanceof AtollError ? interrupted(directory, error) : error;
    });
  assert(
    network.partitions.every(({ status }) => status === 'write'),
    'a cluster is whole when it is founded',
  );
  syncDirectory(files);
  const { key, name } = present(directory.host, 'what is being founded has a record');
  directory.setHost({ key, name, cluster: { database, history: network.history } });
}

function interrupted({ path }: DataDirectory, error: AtollError): AgentError {
  return new AgentError(
    `the cluster could not be founded in ${path}: ${error.message}`,
    'start it again when that is mended: it goes on where it was',
  );
}
