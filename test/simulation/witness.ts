import { asciiLower } from '../../src/base/ascii.ts';
import { layoutOf, readLayouts } from '../../src/core/log/layout.ts';
import { readPrepared, readPreparedChanges } from '../../src/core/replica/prepared.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import { conflict, copyLock } from '../../src/core/transaction/lock.ts';
import type { CertifyRequest } from '../../src/protocol/certify.ts';
import type { Feed } from '../../src/protocol/feed.ts';
import type { Freeze, Thaw } from '../../src/protocol/freeze.ts';
import type { Coverage } from './coverage.ts';
import type { PartitionHost } from './partition-host.ts';

const REQUEST_ID = /"idempotency":\{"id":"([^"]+)"/;

/** What a partition must not certify: a transaction that may be decided already, and seen elsewhere. */
type InDoubt = string | null;

/** Looks at messages and counts what they show to have happened, and what they must not say; changes nothing. */
export class Witness {
  readonly #coverage: Coverage;
  readonly #defect: (error: Error) => void;
  readonly #requests = new Set<string>();
  /** Freezes that are over somewhere. */
  readonly #thawed = new Set<string>();

  constructor(coverage: Coverage, defect: (error: Error) => void) {
    this.#coverage = coverage;
    this.#defect = defect;
  }

  /** A message has arrived, and is about to be taken. */
  sees({ port }: PartitionHost, type: string, body: string | Uint8Array): InDoubt {
    if (type === 'schema-check' && port.query('SELECT 1 FROM _atoll_prepared LIMIT 1').rows.length > 0)
      this.#coverage.barriers++;
    if (typeof body !== 'string') return null;
    if (type === 'certify') return changing(port, JSON.parse(body) as CertifyRequest);
    if (type === 'thaw') this.#over((JSON.parse(body) as Thaw).names);
    if (type === 'feed') this.#over((JSON.parse(body) as Feed).thaws ?? []);
    const id = REQUEST_ID.exec(body)?.[1];
    if (id === undefined) return null;
    if (this.#requests.has(id)) this.#coverage.duplicates++;
    this.#requests.add(id);
    return null;
  }

  #over(freezes: readonly string[]): void {
    for (const name of freezes) this.#thawed.add(name);
  }

  /** A partition says that nobody reads its copies: from here to the thaw, nobody may have. */
  hearsFrozen({ id, port }: PartitionHost, { name, tables }: Freeze): void {
    if (this.#thawed.has(name)) return;
    const reader = readPrepared(port).find(({ locks }) =>
      tables.some((table) => locks.some((lock) => conflict(lock, copyLock(table, true)))),
    );
    if (reader !== undefined)
      this.#defect(new Error(`partition ${id} is frozen, while ${reader.transaction} has read its copies`));
  }

  /** An answer leaves. The body can be read once: what is returned is to be sent. */
  async hears(type: string, response: Response, inDoubt: InDoubt): Promise<Response> {
    if (!response.ok || (type !== 'certify' && type !== 'transaction-state')) return response;
    const text = await response.text();
    const certified = text.includes('"certified":true');
    if (certified && inDoubt !== null)
      this.#defect(new Error(`certified, while what ${inDoubt} changes is in doubt`));
    if (type === 'certify') this.#coverage[certified ? 'certified' : 'uncertified']++;
    else if (text.includes('"committed"')) this.#coverage.commitsByRecovery++;
    else if (text.includes('"aborted"')) this.#coverage.abortsByRecovery++;
    const { status, headers } = response;
    return new Response(text, { status, headers });
  }
}

/** A transaction that is prepared and changes one of the tables: nobody can say yet whether it came before the read. */
function changing(port: SqlitePort, { tables }: CertifyRequest): InDoubt {
  const layouts = readLayouts(port);
  const changes = ({ transaction }: { readonly transaction: string }) =>
    readPreparedChanges(port, transaction).some((change) =>
      tables.some((name) => asciiLower(name) === asciiLower(layoutOf(layouts, change).table)),
    );
  return readPrepared(port).find(changes)?.transaction ?? null;
}
