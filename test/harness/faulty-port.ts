import { type PortResult, type PortValue, SqliteError, type SqlitePort } from '../../src/core/sqlite/port.ts';
import { NodeSqlitePort } from '../../src/node-agent/sqlite-port.ts';

/** The process has ended: whoever catches it must take everything from the file again. */
export class Crash extends Error {
  override name = 'Crash';
}

export type Fault = 'crash' | 'full' | 'io' | 'busy';

/**
 * A database in memory whose calls can be made to fail. What is committed stays: dropping the Replica over it
 * and opening another is what a crash leaves.
 */
export class FaultyPort implements SqlitePort {
  readonly inner = new NodeSqlitePort(':memory:', { synchronous: 'OFF', restricted: false });
  #armed: { readonly fault: Fault; calls: number } | null = null;
  #depth = 0;
  /** Faults that have struck. */
  struck: Fault | null = null;

  /** The fault strikes after this many calls, if a transaction is open then. */
  arm(fault: Fault, calls: number): void {
    this.#armed = { fault, calls };
    this.struck = null;
  }

  disarm(): void {
    this.#armed = null;
  }

  query(sql: string, ...bindings: readonly PortValue[]): PortResult {
    this.#tick();
    return this.inner.query(sql, ...bindings);
  }

  queryBounded(
    sql: string,
    bindings: readonly PortValue[],
    bytesMax: number,
  ): PortResult & { readonly truncated: boolean } {
    this.#tick();
    return this.inner.queryBounded(sql, bindings, bytesMax);
  }

  transaction<T>(body: () => T): T {
    this.#depth++;
    try {
      return this.inner.transaction(() => {
        const result = body();
        // Before a COMMIT or RELEASE, too.
        this.#tick();
        return result;
      });
    } finally {
      this.#depth--;
    }
  }

  databaseSize(): number {
    return this.inner.databaseSize();
  }

  #tick(): void {
    const armed = this.#armed;
    if (armed === null || this.#depth === 0 || armed.calls-- > 0) return;
    this.#armed = null;
    this.struck = armed.fault;
    if (armed.fault === 'crash') throw new Crash('crash');
    // SQLite undoes the whole transaction by itself, not only the statement.
    this.inner.query('ROLLBACK');
    const code = { full: 'SQLITE_FULL', io: 'SQLITE_IOERR', busy: 'SQLITE_BUSY' }[armed.fault];
    throw new SqliteError(armed.fault, code, `injected ${code}`);
  }
}
