import { assert, present } from '../../base/assert.ts';
import type { PartitionId, Token } from '../../base/brand.ts';
import { TokenMap, type TokenRange } from '../schema/token-map.ts';

export interface DirectoryPartition {
  readonly id: PartitionId;
  /** Its leader's host. */
  readonly host: string;
  /** Hosts of its other replicas. */
  readonly replicas: readonly string[];
  readonly ranges: readonly TokenRange[];
}

/** Who holds which token, at one version of the network information. Immutable. */
export class Directory<P extends DirectoryPartition = DirectoryPartition> {
  readonly tokens: TokenMap;
  private readonly partitions: ReadonlyMap<PartitionId, P>;
  private readonly heldBy = new Map<string, PartitionId[]>();

  /**
   * Of a network information, which lists replicas by host; those that are not in sync are not among them. Hosts
   * and partitions keep their order.
   */
  static of<P extends Omit<DirectoryPartition, 'replicas'>>(network: {
    readonly version: number;
    readonly hosts: readonly { readonly host: string; readonly replicas?: readonly number[] }[];
    readonly partitions: readonly P[];
  }): Directory<P & DirectoryPartition> {
    const holders = new Map<number, string[]>(network.partitions.map(({ id }) => [id, []]));
    for (const { host, replicas = [] } of network.hosts) {
      // A partition that is not in the network yet, or no longer, is nobody's to look up; partition 0 has no ranges.
      for (const id of replicas) holders.get(id)?.push(host);
    }
    return new Directory(
      network.version,
      network.partitions.map((partition) => ({
        ...partition,
        replicas: (holders.get(partition.id) ?? []).filter((host) => host !== partition.host),
      })),
    );
  }

  /** Stops if the ranges do not tile the ring, or if a partition names a host twice. */
  constructor(version: number, partitions: readonly P[]) {
    this.tokens = new TokenMap(
      version,
      partitions.flatMap(({ id, ranges }) => ranges.map(({ start, end }) => ({ start, end, partition: id }))),
    );
    this.partitions = new Map(partitions.map((partition) => [partition.id, partition]));
    for (const { id, host, replicas } of partitions) {
      const hosts = new Set([host, ...replicas]);
      assert(hosts.size === replicas.length + 1, () => `partition ${id} names a host twice`);
      for (const each of hosts) {
        const held = this.heldBy.get(each);
        if (held === undefined) this.heldBy.set(each, [id]);
        else held.push(id);
      }
    }
  }

  get version(): number {
    return this.tokens.version;
  }

  /** O(log ranges). */
  ownerOf(token: Token): P {
    return this.partition(this.tokens.partitionOf(token));
  }

  /** The partition must be in the network. */
  partition(id: PartitionId): P {
    return present(this.partitions.get(id), () => `partition ${id} is not in the network`);
  }

  /** Partitions that the host holds, as leader or not, by their order in the network. */
  partitionsOn(host: string): readonly PartitionId[] {
    return this.heldBy.get(host) ?? [];
  }
}
