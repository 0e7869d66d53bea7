import type { PartitionId } from '../base/brand.ts';
import type { Replica } from '../core/replica/replica.ts';
import type { Interactive } from '../core/transaction/interactive.ts';
import type { ScriptEnd } from '../protocol/interactive.ts';
import type { ScriptDesk } from './script-desk.ts';
import type { Surroundings } from './surroundings.ts';

export interface ScriptPeersOptions {
  readonly replica: () => Replica;
  readonly peers: Surroundings['peers'];
  /** What this partition does itself. */
  readonly scripts: ScriptDesk;
}

/** The partitions that execute interactive transactions, as a keeper reaches them: it may be one of them. */
export class ScriptPeers {
  readonly #options: ScriptPeersOptions;

  constructor(options: ScriptPeersOptions) {
    this.#options = options;
  }

  /** Asks another partition, or this one itself by `here`. `deadline` null: as long as peers are waited for. */
  ask<Answer>(
    partition: PartitionId,
    type: string,
    message: unknown,
    deadline: number | null,
    here: (scripts: ScriptDesk) => Promise<Answer>,
  ): Promise<Answer> {
    const { replica, peers, scripts } = this.#options;
    const { identity } = replica();
    if (partition === identity.partition) return here(scripts);
    const patience = deadline === null ? undefined : Math.max(1, deadline - Date.now());
    return peers.call(identity.database, partition, type, message, patience);
  }

  /** Nobody needs the transaction's scripts any more. Who does not hear of it forgets it by the time. */
  release({ name, participants }: Interactive): void {
    const message: ScriptEnd = { name };
    for (const { partition } of participants) {
      this.ask(partition, 'script-end', message, null, async (scripts) => scripts.end(message)).catch(
        (error: unknown) => console.debug(`the end of a transaction was not delivered: ${String(error)}`),
      );
    }
  }
}
