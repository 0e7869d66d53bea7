import { readHead } from '../../src/core/log/tables.ts';
import type { Replica } from '../../src/core/replica/replica.ts';
import type { Position } from '../../src/core/replication/position.ts';
import { type Answer, Shipper } from '../../src/core/replication/shipper.ts';
import type { Outside } from './agent-copy.ts';
import type { Host } from './host.ts';
import type { Link, Reply, Request, Wire } from './wire.ts';

export interface ShippingBytes {
  readonly batchBytes: number;
  readonly pageBytes: number;
}

/** A leader's links, as its object has them: what survives an eviction, and what does not. */
export class EdgeShipping {
  readonly host: Host;
  readonly #outside: Outside;
  readonly #wire: Wire;
  readonly #bytes: ShippingBytes;
  readonly links = new Set<Link>();
  #shipper: Shipper<Link>;
  #replica: Replica;
  /** Where hosts were before: for the defect of that name. */
  readonly #former = new Map<string, Position>();

  constructor(host: Host, outside: Outside, wire: Wire, bytes: ShippingBytes) {
    this.host = host;
    this.#outside = outside;
    this.#wire = wire;
    this.#bytes = bytes;
    this.#replica = host.replica;
    this.#shipper = new Shipper<Link>(() => this.host.replica, bytes);
  }

  /** The object was evicted since: its memory is gone, and its sockets are or sleep. */
  #awake(): void {
    if (this.#replica === this.host.replica) return;
    this.#replica = this.host.replica;
    this.#shipper = new Shipper<Link>(() => this.host.replica, this.#bytes);
    const survive = this.#outside.random.chance(0.4);
    for (const link of this.links) {
      if (survive) this.#wire.send({ to: 'agent', link, message: { type: 'follow-again' } });
      else this.closed(link);
    }
  }

  opened(link: Link): void {
    this.#awake();
    this.links.add(link);
  }

  closed(link: Link): void {
    link.edgeOpen = false;
    this.links.delete(link);
    this.#shipper.forget(link);
  }

  acknowledged(link: Link, answer: Answer): void {
    this.#awake();
    // The eviction may have closed it.
    if (!link.edgeOpen) return;
    if (!this.#shipper.answered(link, link.host, answer, this.#outside.now)) {
      this.#wire.send({ to: 'agent', link, message: { type: 'follow-again' } });
      return;
    }
    if (answer.kind !== 'diverged') this.#former.set(link.host, answer.position);
    this.ship();
  }

  receive(link: Link, request: Request): Reply | null {
    this.#awake();
    if (!link.edgeOpen) return null;
    const { now } = this.#outside;
    const { mutant } = this.#outside;
    if (request.type === 'follow') {
      let { position } = request;
      const former = this.#former.get(link.host);
      if (
        mutant === 'old-matched-kept' &&
        former !== undefined &&
        former.commitId > (position?.commitId ?? -1)
      )
        position = former;
      return { type: 'follow', ...this.#shipper.follow(link, link.host, position, now) };
    }
    if (request.type === 'snapshot-open') {
      return { type: 'snapshot-open', snapshot: this.#shipper.openSnapshot(link.host, now) };
    }
    if (request.type === 'snapshot-page') {
      const page = this.#shipper.snapshotPage(link.host, request.base, request.cursor, now);
      return { type: 'snapshot-page', page };
    }
    return null;
  }

  /** Sends what may be sent. */
  ship(): void {
    this.#awake();
    for (const shipment of this.#shipper.messages(this.#outside.now)) {
      const { link } = shipment;
      if (shipment.type === 'follow-again')
        this.#wire.send({ to: 'agent', link, message: { type: 'follow-again' } });
      else {
        const { head, data } = shipment;
        this.#wire.send({ to: 'agent', link, message: { type: 'append', head, data } });
      }
    }
  }

  /** Two links of one host: one of them is an old one. */
  hostsTwice(host: string): boolean {
    return [...this.links].filter((link) => link.host === host).length > 1;
  }

  get matched(): ReadonlyMap<string, number> {
    this.#awake();
    return this.#shipper.matched;
  }

  /** What names an entry of the log that is there. */
  entry(commit: number): { term: number; timestamp: string } | null {
    const [row] = this.host.port.inner.query(
      'SELECT term, timestamp FROM _atoll_commits WHERE commit_id = ?',
      commit,
    ).rows;
    return row === undefined ? null : { term: Number(row[0]), timestamp: String(row[1]) };
  }

  get last(): number {
    return readHead(this.host.port).lastCommitId;
  }
}
