import { AtollError } from '../../protocol/error.ts';
import type { NetworkInformation } from '../../protocol/network.ts';
import { type Json, type Packed, pack, unpack } from './columnar.ts';

/** Rises with every change that an older reader would misread. */
export const COMPACT_FORMAT = 1;

/**
 * Network information as it travels and is kept: JSON in which hosts and partitions stand column by column. All fields
 * are carried, those that this version does not know included.
 */
export interface CompactNetwork {
  readonly format: number;
  /** All fields but the two lists. */
  readonly head: Readonly<Record<string, unknown>>;
  readonly hosts: CompactList;
  readonly partitions: CompactList;
}

interface CompactList {
  readonly count: number;
  readonly packed: Packed;
}

export function compactNetwork<Catalogue>(information: NetworkInformation<Catalogue>): CompactNetwork {
  const { hosts, partitions, ...head } = information;
  return { format: COMPACT_FORMAT, head, hosts: compactList(hosts), partitions: compactList(partitions) };
}

/**
 * The network information of {@link compactNetwork}, after JSON. Only the compact form is checked; the fields are
 * what the sender wrote.
 *
 * @throws AtollError `unsupported` for another format, `bad-request` for what is no compact form
 */
export function expandNetwork<Catalogue>(value: unknown): NetworkInformation<Catalogue> {
  const { format, head, hosts, partitions } = record(value);
  if (format !== COMPACT_FORMAT) {
    throw new AtollError(
      'unsupported',
      `network information of format ${JSON.stringify(format)}; this version reads ${COMPACT_FORMAT}`,
    );
  }
  const expanded = { ...record(head), hosts: expandList(hosts), partitions: expandList(partitions) };
  return expanded as unknown as NetworkInformation<Catalogue>;
}

function compactList(rows: readonly object[]): CompactList {
  return { count: rows.length, packed: pack(rows as readonly Json[]) };
}

function expandList(list: unknown): Json[] {
  const { count, packed } = record(list);
  if (!Number.isSafeInteger(count) || (count as number) < 0) return refuse();
  return unpack(packed, count as number);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse();
  return value as Record<string, unknown>;
}

function refuse(): never {
  throw new AtollError('bad-request', 'this is no compact network information');
}
