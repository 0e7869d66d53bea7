import type { Epoch, TableId } from '../../src/base/brand.ts';
import { failureOf } from '../../src/core/execution/failure.ts';
import { applyFeed, checkSchemaChange, readFeed } from '../../src/core/replica/feed.ts';
import type { Work } from '../../src/core/replica/group.ts';
import type { ExecuteOutcome } from '../../src/core/replica/outcome.ts';
import { Replica } from '../../src/core/replica/replica.ts';
import { System } from '../../src/core/replica/system.ts';
import { withFilling } from '../../src/core/schema/apply-change.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';
import type { ExecuteRequest, WireStatement } from '../../src/protocol/execute.ts';

/** What `/v1/query` answers, as it is in JSON; `rows` also as text, where 1 and 1.0 differ. */
export interface Answer {
  readonly columns: string[];
  readonly rows: unknown[][];
  readonly rowsText: string;
  readonly rowsAffected: number;
  readonly lastInsertRowid: number | null;
}

/** A system partition and others in one thread, nothing lost on the way: for tests of what partitions do. */
export class LocalCluster {
  readonly system: System;
  readonly partitions: Replica[];
  now = 1_000_000;

  constructor(
    partitions = 1,
    port: () => SqlitePort = () => new NodeSqlitePort(':memory:', { synchronous: 'OFF' }),
  ) {
    const foundation = { database: 'main', history: 'h', partitions, settings: {} };
    this.system = System.found(port(), foundation, this.now);
    this.partitions = this.system.uncreated().map((identity) => {
      const replica = Replica.create(port(), identity);
      this.system.confirmCreated(identity.partition, this.now);
      return replica;
    });
  }

  /** @throws AtollError as a client would see it; then nothing has changed anywhere */
  schema(...statements: string[]): void {
    this.now++;
    try {
      const proposal = this.system.propose(statements, this.now);
      if (proposal === null) return;
      const filling: TableId[] = [];
      for (const replica of this.partitions) {
        const result = checkSchemaChange(replica, proposal.proposal, proposal.change, this.now);
        if (result.kind === 'passed') {
          filling.push(...result.filling);
          continue;
        }
        this.system.withdraw(proposal.proposal, 'refused', this.now);
        throw result.error;
      }
      this.system.publish({ ...proposal, change: withFilling(proposal.change, filling) }, this.now);
    } catch (error) {
      throw failureOf(error);
    }
    this.deliver();
  }

  deliver(): void {
    for (const replica of this.partitions) {
      while (replica.systemIndex < this.system.replica.feedIndex) {
        applyFeed(replica, readFeed(this.system.replica, replica.systemIndex), this.now);
      }
    }
  }

  replica(partition: number): Replica {
    return partition === 0 ? this.system.replica : (this.partitions[partition - 1] as Replica);
  }

  outcome(statements: readonly WireStatement[], partition = 1, read = isRead(statements)): ExecuteOutcome {
    const outcome = this.group([{ statements, read }], partition)[0] as ExecuteOutcome;
    if (partition === 0) this.deliver();
    return outcome;
  }

  group(
    requests: readonly (Partial<ExecuteRequest> & Pick<ExecuteRequest, 'statements'>)[],
    partition = 1,
  ): ExecuteOutcome[] {
    this.now++;
    const replica = this.replica(partition);
    return replica.execute(
      requests.map(({ statements, ...others }) => ({
        epoch: 1 as Epoch,
        schema: replica.schema.version,
        system: replica.systemIndex,
        shape: statements.length === 1 ? 'query' : 'batch',
        read: false,
        statements,
        ...others,
      })),
      this.now,
    );
  }

  /** Any other work of a partition. */
  perform(work: (now: number) => Work, partition = 1): ExecuteOutcome {
    this.now++;
    return this.replica(partition).perform([work(this.now)], this.now)[0] as ExecuteOutcome;
  }

  /** @throws AtollError */
  run(sql: string, args?: unknown, partition = 1): Answer {
    const outcome = this.outcome([args === undefined ? { sql } : { sql, args }], partition);
    if (outcome.kind === 'error') throw outcome.error;
    if (outcome.kind !== 'done') throw new Error(`${sql}: ${outcome.kind}`);
    const answer = JSON.parse(outcome.body) as Answer;
    const rowsText = /"rows":([\s\S]*),"rowsAffected":/.exec(outcome.body)?.[1] ?? '';
    return { ...answer, rowsText };
  }
}

function isRead(statements: readonly WireStatement[]): boolean {
  return statements.every(
    ({ sql }) =>
      /^\s*(SELECT|VALUES|PRAGMA)\b/i.test(sql) ||
      /^\s*WITH\b(?![\s\S]*\b(INSERT|UPDATE|DELETE|REPLACE)\b)/i.test(sql),
  );
}
