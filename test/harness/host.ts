import type { PartitionId } from '../../src/base/brand.ts';
import { dump, dumpFingerprint } from '../../src/core/log/dump.ts';
import type { Identity } from '../../src/core/replica/identity.ts';
import { Replica } from '../../src/core/replica/replica.ts';
import { Crash, type Fault, FaultyPort } from './faulty-port.ts';

/** One partition's file, and the Replica over it as long as the process lives. */
export class Host {
  readonly id: PartitionId;
  readonly port = new FaultyPort();
  replica: Replica;

  constructor(id: PartitionId, make: (port: FaultyPort) => Replica) {
    this.id = id;
    this.replica = make(this.port);
  }

  static of(identity: Identity): Host {
    return new Host(identity.partition, (port) => Replica.create(port, identity));
  }

  /** The object is evicted, or its process has died: memory is gone, the file is there. */
  restart(): void {
    this.port.disarm();
    const replica = Replica.open(this.port);
    if (replica === null) throw new Error('the file has lost its replica');
    this.replica = replica;
  }

  /** Runs a step under a fault. `crashed`: nothing that was not committed is left, and nobody got an answer. */
  step<T>(
    fault: { kind: Fault; calls: number } | null,
    body: () => T,
  ): { crashed: true } | { crashed: false; result: T } {
    if (fault !== null) this.port.arm(fault.kind, fault.calls);
    try {
      return { crashed: false, result: body() };
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      return { crashed: true };
    } finally {
      this.port.disarm();
      if (this.port.struck === 'crash') this.restart();
      this.port.struck = null;
    }
  }

  fingerprint(reference: boolean): string {
    const tables = this.replica.schema.catalogue.tables.filter(
      ({ placement }) => (placement.kind === 'reference') === reference,
    );
    return dumpFingerprint(dump(this.port, tables));
  }
}
