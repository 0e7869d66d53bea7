import type { Epoch, PartitionId } from '../../src/base/brand.ts';
import type { Replica } from '../../src/core/replica/replica.ts';
import {
  decodeSession,
  demandOn,
  encodeSession,
  mergeSessions,
  type SessionToken,
} from '../../src/protocol/session.ts';
import type { Outside } from './agent-copy.ts';

/** A client that reads here and there, and what it has really seen, by partition. */
interface Session {
  token: SessionToken | null;
  readonly floor: Map<number, number>;
  system: number;
}

/** Reads of sessions at any replica: none is shown less than before. Reads without: any state that there was. */
export class Readers {
  readonly #outside: Outside;
  readonly #sessions: Session[] = Array.from({ length: 3 }, () => ({
    token: null,
    floor: new Map(),
    system: 0,
  }));

  constructor(outside: Outside) {
    this.#outside = outside;
  }

  /** A write that was acknowledged to one of the sessions. */
  wrote(body: string): void {
    const session = this.#outside.random.pick(this.#sessions);
    this.#saw(session, (JSON.parse(body) as { session: string }).session);
  }

  /** `copy`: not the leader. */
  read(replica: Replica, copy: boolean, what: string): void {
    const { random, coverage, digests, now } = this.#outside;
    const blind = copy && this.#outside.mutant === 'serves-behind';
    const session = random.chance(0.75) ? random.pick(this.#sessions) : null;
    const partition = replica.identity.partition as PartitionId;
    const demand = session?.token == null || blind ? {} : demandOn(session.token, partition);
    const table = random.pick([...replica.schema.catalogue.tables, null]);
    const sql = table === null ? 'SELECT 1' : `SELECT * FROM ${table.name}`;
    const text = session?.token == null ? {} : { session: encodeSession(session.token) };
    const [outcome] = replica.execute(
      [
        {
          epoch: 1 as Epoch,
          schema: replica.schema.version,
          system: blind ? 0 : (session?.token?.system ?? 0),
          shape: 'query',
          read: true,
          statements: [{ sql }],
          ...text,
          ...demand,
        },
      ],
      now,
    );
    this.#outside.note(`read ${what} ${session === null ? 'eventual' : 'session'} ${outcome?.kind}`);
    if (outcome?.kind === 'behind') coverage.behind++;
    if (outcome?.kind === 'error') throw new Error(`${what}: ${sql}: ${outcome.error.message}`);
    if (outcome?.kind !== 'done') return;
    if (copy) coverage[session === null ? 'eventualReads' : 'sessionReads']++;
    if (copy) digests.check(replica, what);
    const commit = replica.last.commit;
    const shown = decodeSession((JSON.parse(outcome.body) as { session: string }).session);
    if ((shown.seen.get(partition) ?? 0) < commit)
      throw new Error(`${what}: an answer of ${commit} says ${shown.seen.get(partition)}`);
    if (session === null) return;
    const floor = session.floor.get(partition) ?? 0;
    if (commit < floor) throw new Error(`${what}: a session that saw commit ${floor} was shown ${commit}`);
    const system = replica.isSystem ? replica.feedIndex : replica.systemIndex;
    if (system < session.system)
      throw new Error(`${what}: a session that saw the system at ${session.system} was shown ${system}`);
    this.#saw(session, (JSON.parse(outcome.body) as { session: string }).session);
  }

  #saw(session: Session, text: string): void {
    const shown = decodeSession(text);
    session.token = session.token === null ? shown : mergeSessions(session.token, shown);
    for (const [partition, commit] of shown.seen) {
      session.floor.set(partition, Math.max(session.floor.get(partition) ?? 0, commit));
    }
    session.system = Math.max(session.system, shown.system);
  }
}
