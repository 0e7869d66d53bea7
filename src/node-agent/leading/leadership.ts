import { existsSync, readdirSync } from 'node:fs';
import type { PartitionId } from '../../base/brand.ts';
import { SYSTEM_PARTITION } from '../../base/system-partition.ts';
import { readFormat } from '../../core/replica/format.ts';
import { leadingHost } from '../../core/replica/leading-host.ts';
import { SqliteError } from '../../core/sqlite/port.ts';
import { DEFAULT_DATABASE } from '../../gateway/path.ts';
import { generateHostKey, type HostKey, importHostKey } from '../../rpc/host-key.ts';
import { AgentError } from '../agent-error.ts';
import { type DataDirectory, type Founding, type HostRecord, partitionFile } from '../data-directory.ts';
import { NodeSqlitePort } from '../sqlite-port.ts';

/** Of a new cluster for which no number is given (chosen: as `atoll dev` has it). */
export const PARTITIONS_DEFAULT = 4;

/** That a cluster shall be founded, unless the directory leads one already. */
export interface Init {
  /** Null: as many as there are, or {@link PARTITIONS_DEFAULT}. */
  readonly partitions: number | null;
}

/** Which partitions this host leads, and as whom. */
export interface Leadership {
  readonly key: HostKey;
  readonly database: string;
  /** Ascending, with the system partition. */
  readonly partitions: readonly PartitionId[];
  /** Null: the cluster is whole. */
  readonly founding: Founding | null;
}

/**
 * What the directory leads. In an empty one `init` begins a cluster, by a record that says so before anything else is there: whatever
 * happens then, the next start knows what these files are, and goes on.
 *
 * @throws AgentError when it leads nothing, or is not empty, or what it leads has another number of partitions than `init`
 */
export async function leadershipOf(
  directory: DataDirectory,
  init: Init | null,
  name: string | null,
): Promise<Leadership> {
  const { host } = directory;
  if (host === null) {
    if (init === null) throw notLeading(directory);
    return begin(directory, init, name);
  }
  const key = await importHostKey(host.key);
  const leadership = leadershipIn(directory, host, key);
  if (leadership === null) throw init === null ? notLeading(directory) : occupied(directory, host);
  const present = leadership.partitions.length - 1;
  if (init !== null && init.partitions !== null && init.partitions !== present)
    throw otherNumber(directory, present, init.partitions);
  if (name !== null && name !== host.name) directory.setHost({ ...host, name });
  return leadership;
}

/**
 * A directory that leads, or is about to, follows nobody.
 *
 * @throws AgentError
 */
export async function refuseIfLeading(directory: DataDirectory): Promise<void> {
  const { host, path } = directory;
  if (host === null) return;
  if (host.founding !== undefined) {
    throw new AgentError(
      `a cluster was begun in ${path}, and its founding was interrupted`,
      'finish it: leave --join out; or join with an empty directory',
    );
  }
  if (!(await leadsWhole(directory, host))) return;
  throw new AgentError(
    `${path} leads a cluster of its own`,
    'leave --join out to start that one; or join with an empty directory',
  );
}

async function leadsWhole(directory: DataDirectory, { cluster, key }: HostRecord): Promise<boolean> {
  if (cluster === null) return false;
  const { host } = await importHostKey(key);
  try {
    return isLedBy(directory, cluster.database, host);
  } catch (error) {
    // A copy that is damaged is put aside, and loaded anew, by the storage that has it.
    if (error instanceof SqliteError) return false;
    throw error;
  }
}

async function begin(directory: DataDirectory, init: Init, name: string | null): Promise<Leadership> {
  checkEmpty(directory);
  const text = await generateHostKey();
  const key = await importHostKey(text);
  const founding = { database: DEFAULT_DATABASE, partitions: init.partitions ?? PARTITIONS_DEFAULT };
  directory.setHost({ key: text, name: name ?? key.host, cluster: null, founding });
  return ofFounding(key, founding);
}

function leadershipIn(directory: DataDirectory, host: HostRecord, key: HostKey): Leadership | null {
  if (host.founding !== undefined) return ofFounding(key, host.founding);
  const { cluster } = host;
  if (cluster === null || !isLedBy(directory, cluster.database, key.host)) return null;
  const partitions = directory
    .partitions()
    .filter(({ database }) => database === cluster.database)
    .map(({ partition }) => partition)
    .sort((a, b) => a - b);
  return { key, database: cluster.database, partitions, founding: null };
}

function ofFounding(key: HostKey, founding: Founding): Leadership {
  const { database, partitions } = founding;
  const ids = Array.from({ length: partitions + 1 }, (_, index) => index as PartitionId);
  return { key, database, partitions: ids, founding };
}

/** Looks without a server, which would write: what follows another leader must not be written here. */
function isLedBy(directory: DataDirectory, database: string, host: string): boolean {
  const file = partitionFile(directory.path, { database, partition: SYSTEM_PARTITION });
  if (!existsSync(file)) return false;
  const port = new NodeSqlitePort(file);
  try {
    return readFormat(port) !== null && leadingHost(port) === host;
  } finally {
    port.close();
  }
}

/** What is in a directory without a host: the lock, what an interrupted start has left of itself, and what file systems put there. */
const NO_DATA = /^(lock.*|running|host\.json\.next|lost\+found)$/;

function checkEmpty({ path }: DataDirectory): void {
  const found = readdirSync(path).filter((name) => !NO_DATA.test(name));
  if (found.length === 0) return;
  throw new AgentError(
    `${path} is not empty: it holds ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''}`,
    'choose an empty directory for a new cluster with --data',
  );
}

function occupied({ path }: DataDirectory, { cluster }: HostRecord): AgentError {
  if (cluster === null) {
    return new AgentError(
      `${path} belongs to a host that has asked another cluster to take it in`,
      'choose an empty directory with --data; or go on joining: --join in place of --init',
    );
  }
  return new AgentError(
    `${path} holds copies of another cluster: ${cluster.database}, history ${cluster.history}`,
    'choose an empty directory with --data; or go on following: --join in place of --init; ' +
      'or, when that cluster is gone for good, make one of its copies with `atoll agent recover`',
  );
}

function otherNumber({ path }: DataDirectory, present: number, wanted: number): AgentError {
  return new AgentError(
    `the number of partitions in ${path} is ${present}, not ${wanted}: it is fixed when a cluster is founded`,
    `leave --partitions out, or name ${present}; or choose an empty directory with --data`,
  );
}

function notLeading({ path }: DataDirectory): AgentError {
  return new AgentError(
    `${path} does not lead a cluster`,
    'name the cluster that it shall join: --join http://127.0.0.1:8787; or found one in an empty directory with --init; ' +
      'or make a cluster from copies with `atoll agent recover`',
  );
}
