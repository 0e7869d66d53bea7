import { assert, present } from '../../base/assert.ts';
import type { Epoch, PartitionId, SchemaVersion } from '../../base/brand.ts';
import { AtollError } from '../../protocol/error.ts';
import type { NetworkInformation, PartitionInfo } from '../../protocol/network.ts';
import type { TokenRecord } from '../../protocol/token.ts';
import { failureOf } from '../execution/failure.ts';
import { createLog } from '../log/capture.ts';
import { HOST_IDS_START } from '../network/host-ranges.ts';
import { EDGE } from '../network/votes.ts';
import { applySchemaChange } from '../schema/apply-change.ts';
import type { Catalogue } from '../schema/catalogue.ts';
import type { SchemaChange } from '../schema/change.ts';
import { initialRanges } from '../schema/identifier-range.ts';
import { splitEvenly } from '../schema/token-map.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { createInternalTable, writeProgress } from './bookkeeping.ts';
import { readHostInfos } from './hosts-information.ts';
import type { Identity } from './identity.ts';
import { beginBuilds } from './index-builds.ts';
import { kindOfLeader } from './leading-host.ts';
import { networkVersion, schemaChangedMs } from './network-version.ts';
import { passRebuiltIds } from './rebuilt-ids.ts';
import { Replica } from './replica.ts';
import { refuseDuringRestore } from './restoring.ts';
import { recordSchema } from './schema-versions.ts';
import { SYSTEM_TABLES } from './system-tables.ts';
import { endToken, insertToken, readTokens } from './tokens.ts';
import { tryOutSchema } from './try-out-schema.ts';

/** Most partitions that a database starts with (chosen: a scatter reaches all of them). */
export const PARTITIONS_MAX = 1024;

export interface Foundation {
  readonly database: string;
  /** Names this database's timeline; see NetworkInformation. */
  readonly history: string;
  readonly partitions: number;
  /** Id of the host that leads all of them; left out: the edge. */
  readonly leader?: string;
  /** Settings that the gateway keeps here, such as the cluster's keys; opaque. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface Proposal {
  readonly proposal: number;
  readonly change: SchemaChange;
}

export type ProposalState = 'proposed' | 'published' | 'withdrawn';
/** What the ledger says beside: published, and its index is being built over rows that are there, or was taken back. */
type LedgerState = ProposalState | 'building' | 'failed';

/**
 * The system partition: a replica like any other that also keeps the network information. Every method is one
 * transaction.
 */
export class System {
  readonly replica: Replica;

  private constructor(replica: Replica) {
    this.replica = replica;
  }

  static open(replica: Replica): System {
    assert(replica.isSystem, 'not the system partition');
    return new System(replica);
  }

  /** Makes an empty file the system partition of a new database, its partitions still to be created. */
  static found(port: SqlitePort, foundation: Foundation, now: number): System {
    const { database, history, partitions, settings, leader = EDGE } = foundation;
    assert(partitions >= 1 && partitions <= PARTITIONS_MAX, 'number of partitions');
    const identity: Identity = {
      database,
      partition: 0 as PartitionId,
      history,
      node: 'p0',
      epoch: 1 as Epoch,
      ranges: [],
      // Ids of reference tables come from the same space as nobody else's: their tables live here alone.
      identifiers: { start: 1, end: 2 ** 53 },
    };
    return port.transaction(() => {
      const system = new System(Replica.create(port, identity));
      for (const table of SYSTEM_TABLES) {
        createInternalTable(port, table);
        createLog(port, table);
      }
      system.set('history', history);
      for (const [name, value] of Object.entries(settings)) system.set(name, value);
      port.query(`INSERT INTO atoll_hosts VALUES (?, ?, 'write')`, leader, kindOfLeader(leader));
      const identifiers = initialRanges(partitions, HOST_IDS_START);
      splitEvenly(partitions).forEach((range, index) => {
        const partition = index + 1;
        const ids = present(identifiers[index], 'a range for each partition');
        port.query(
          `INSERT INTO atoll_partitions VALUES (?, 1, 'creating', ?, ?)`,
          partition,
          ids.start,
          ids.end,
        );
        port.query(`INSERT INTO atoll_replicas VALUES (?, ?, 'leader')`, partition, leader);
        port.query('INSERT INTO atoll_ranges VALUES (?, ?, ?)', range.start, range.end, partition);
      });
      system.replica.append('write', null, now);
      return system;
    });
  }

  /** Identities of the partitions whose creation is not confirmed yet. */
  uncreated(): Identity[] {
    const { database } = this.replica.identity;
    const history = present(this.setting('history'), 'a database has a history');
    const rows = this.#rows(
      `SELECT partition, epoch, id_start, id_end FROM atoll_partitions WHERE status = 'creating'`,
    );
    return rows.map(([partition, epoch, start, end]) => ({
      database,
      partition: Number(partition) as PartitionId,
      history,
      node: `p${partition}`,
      epoch: Number(epoch) as Epoch,
      ranges: this.#rangesOf(Number(partition)),
      identifiers: { start: Number(start), end: Number(end) },
    }));
  }

  confirmCreated(partition: PartitionId, now: number): void {
    this.change(now, () => {
      this.replica.port.query(`UPDATE atoll_partitions SET status = 'write' WHERE partition = ?`, partition);
    });
  }

  network(): NetworkInformation<Catalogue> {
    const { database } = this.replica.identity;
    const partitions = this.#rows(`SELECT p.partition, p.epoch, p.status, r.host,
      (SELECT coalesce(max(version), 0) FROM atoll_migration_partitions m WHERE m.partition = p.partition)
      FROM atoll_partitions p JOIN atoll_replicas r ON r.partition = p.partition AND r.role = 'leader' ORDER BY p.partition`);
    return {
      database,
      version: networkVersion(this.replica.port),
      history: present(this.setting('history'), 'a database has a history'),
      schemaVersion: this.replica.schema.version,
      schemaChangedMs: schemaChangedMs(this.replica.port),
      systemIndex: this.replica.feedIndex,
      hosts: readHostInfos(this.replica.port),
      partitions: partitions.map(([id, epoch, status, host, appliedSchema]) => ({
        id: Number(id) as PartitionId,
        epoch: Number(epoch) as Epoch,
        ranges: this.#rangesOf(Number(id)),
        status: status as PartitionInfo['status'],
        host: String(host),
        appliedSchema: Number(appliedSchema) as SchemaVersion,
      })),
      catalogue: this.replica.schema.catalogue,
    };
  }

  /** Partitions that hold users' rows. */
  partitionIds(): PartitionId[] {
    return this.#rows('SELECT partition FROM atoll_partitions ORDER BY partition').map(
      ([id]) => Number(id) as PartitionId,
    );
  }

  /**
   * Tries DDL on the system partition's own tables and records it as proposed; reference tables are not written
   * from now on until it is decided. Null when it changes nothing.
   *
   * @throws AtollError or SqliteError when it is refused here already
   */
  propose(sources: readonly string[], now: number, restore?: string): Proposal | null {
    refuseDuringRestore(this.replica.schema.catalogue, restore);
    if (this.replica.hold !== null) {
      throw new AtollError('schema-conflict', 'another schema change is being decided; try again');
    }
    const { port } = this.replica;
    const change = tryOutSchema(this.replica, sources, now);
    if (change === null) return null;
    const proposal = this.#nextProposal();
    this.change(now, () => {
      port.query(
        `INSERT INTO atoll_migrations VALUES (?, ?, ?, 'proposed', NULL, ?, NULL)`,
        proposal,
        change.version,
        JSON.stringify(sources),
        new Date(now).toISOString(),
      );
      writeProgress(port, 'hold', proposal);
    });
    this.replica.reload();
    return { proposal, change };
  }

  /** Every partition has passed the check: the change is final. */
  publish({ proposal, change }: Proposal, now: number): void {
    const { port } = this.replica;
    try {
      port.transaction(() => {
        assert(this.stateOf(proposal) === 'proposed', 'a proposal is decided once');
        const before = this.replica.schema;
        applySchemaChange(port, before.catalogue, change);
        recordSchema(port, change);
        passRebuiltIds(this.replica, before, change);
        const builds = beginBuilds(this, proposal, change.catalogue);
        this.#decide(proposal, builds ? 'building' : 'published', null, now);
        this.#listTables(change.catalogue);
        this.replica.schemaApplied(change.catalogue);
        this.replica.appendFeed('schema', { feed: 'schema', proposal, change }, now);
      });
    } finally {
      this.replica.reload();
    }
  }

  /**
   * Makes a change that no partition can refuse, without asking them first, and what belongs to it: the beginning and
   * the end of a restore, the end of an index's build.
   */
  impose(change: SchemaChange, along: () => void, now: number): void {
    const { port } = this.replica;
    assert(this.replica.hold === null, 'nothing else is being decided');
    try {
      port.transaction(() => {
        // DDL first: whoever applies the entry makes it before the entry's rows.
        applySchemaChange(port, this.replica.schema.catalogue, change);
        recordSchema(port, change);
        const proposal = this.#nextProposal();
        const at = new Date(now).toISOString();
        const statements = JSON.stringify(change.statements);
        port.query(
          `INSERT INTO atoll_migrations VALUES (?, ?, ?, 'published', NULL, ?, ?)`,
          proposal,
          change.version,
          statements,
          at,
          at,
        );
        along();
        this.#listTables(change.catalogue);
        this.replica.schemaApplied(change.catalogue);
        this.replica.appendFeed('schema', { feed: 'schema', proposal, change }, now);
      });
    } finally {
      this.replica.reload();
    }
  }

  #nextProposal(): number {
    return Number(this.#rows('SELECT coalesce(max(proposal), 0) + 1 FROM atoll_migrations')[0]?.[0]);
  }

  /**
   * Ends a proposal once every partition has answered: publishes the change unless `refusal` is there or it
   * cannot be made here after all. Gives the error that it was withdrawn for; null: published.
   */
  decide(proposal: Proposal, refusal: AtollError | null, now: number): AtollError | null {
    let error = refusal;
    if (error === null) {
      try {
        this.publish(proposal, now);
        return null;
      } catch (thrown) {
        error = failureOf(thrown);
      }
    }
    this.withdraw(proposal.proposal, error.message, now);
    return error;
  }

  /** The change is given up for good; nothing of it was applied anywhere. */
  withdraw(proposal: number, error: string, now: number): void {
    this.change(now, () => {
      assert(this.stateOf(proposal) === 'proposed', 'a proposal is decided once');
      this.#decide(proposal, 'withdrawn', error, now);
    });
    this.replica.reload();
  }

  /** The proposal that is not decided yet: after a start, one whose coordinator is gone. */
  undecided(): number | null {
    const row = this.#rows(`SELECT proposal FROM atoll_migrations WHERE state = 'proposed'`)[0];
    return row === undefined ? null : Number(row[0]);
  }

  /** A proposal that is not known was never made. */
  stateOf(proposal: number): ProposalState {
    const row = this.#rows('SELECT state FROM atoll_migrations WHERE proposal = ?', proposal)[0];
    const state = row === undefined ? 'withdrawn' : (String(row[0]) as LedgerState);
    return state === 'building' || state === 'failed' ? 'published' : state;
  }

  /** The ledger: these partitions have said that they have this schema version. */
  recordApplied(version: SchemaVersion, partitions: readonly PartitionId[], now: number): void {
    if (version === 0) return;
    this.change(now, () => {
      for (const partition of partitions) {
        this.replica.port.query(
          'INSERT OR IGNORE INTO atoll_migration_partitions VALUES (?, ?, ?)',
          version,
          partition,
          new Date(now).toISOString(),
        );
      }
    });
  }

  /** Partitions that have not said yet that they have the present schema version. */
  behindSchema(): PartitionId[] {
    const rows = this.#rows(
      `SELECT partition FROM atoll_partitions WHERE partition NOT IN
       (SELECT partition FROM atoll_migration_partitions WHERE version = ?) ORDER BY partition`,
      this.replica.schema.version,
    );
    return this.replica.schema.version === 0 ? [] : rows.map(([id]) => Number(id) as PartitionId);
  }

  setting(name: string): string | null {
    const row = this.#rows('SELECT value FROM _atoll_settings WHERE name = ?', name)[0];
    return row === undefined || row[0] === null ? null : String(row[0]);
  }

  /** Keeps note of a token that was made, so that it can be listed and revoked. */
  recordToken(token: TokenRecord, now: number): void {
    this.change(now, () => insertToken(this.replica.port, token, now));
  }

  tokens(): TokenRecord[] {
    return readTokens(this.replica.port);
  }

  /** False for a token that is not known. */
  revokeToken(id: string, now: number): boolean {
    if (!this.tokens().some((token) => token.id === id)) return false;
    this.change(now, () => endToken(this.replica.port, id, now));
    return true;
  }

  /** In the transaction that is open. */
  set(name: string, value: string): void {
    this.replica.port.query('INSERT OR REPLACE INTO _atoll_settings VALUES (?, ?)', name, value);
  }

  #decide(proposal: number, state: LedgerState, error: string | null, now: number): void {
    const { port } = this.replica;
    port.query(
      'UPDATE atoll_migrations SET state = ?, error = ?, decided_at = ? WHERE proposal = ?',
      state,
      error,
      new Date(now).toISOString(),
      proposal,
    );
    writeProgress(port, 'hold', null);
  }

  #listTables(catalogue: Catalogue): void {
    const { port } = this.replica;
    port.query('DELETE FROM atoll_tables');
    for (const { id, name, placement } of catalogue.tables) {
      const key = placement.kind === 'partitioned' ? placement.key.join(', ') : null;
      port.query(
        'INSERT INTO atoll_tables VALUES (?, ?, ?, ?, ?)',
        id,
        name,
        placement.kind,
        key,
        catalogue.version,
      );
    }
  }

  #rangesOf(partition: number): { start: number; end: number }[] {
    const rows = this.#rows(
      'SELECT start_token, end_token FROM atoll_ranges WHERE partition = ? ORDER BY start_token',
      partition,
    );
    return rows.map(([start, end]) => ({ start: Number(start), end: Number(end) }));
  }

  #rows(sql: string, ...bindings: PortValue[]): readonly (readonly PortValue[])[] {
    return this.replica.port.query(sql, ...bindings).rows;
  }

  /** One entry of the log. */
  change(now: number, body: () => void): void {
    this.replica.port.transaction(() => {
      body();
      this.replica.append('write', null, now);
    });
  }
}
