import type { ScatterPlan } from '../core/plan/plan.ts';
import { AtollError } from '../protocol/error.ts';
import type { KnownNetwork } from './known-network.ts';
import type { Planned } from './planned.ts';
import type { Session } from './statements.ts';

export async function executeScatter(
  _session: Session,
  _known: KnownNetwork,
  _planned: Planned,
  plan: ScatterPlan,
): Promise<Response> {
  throw new AtollError('unsupported', `${plan.reason}: reads over partitions are not there yet`);
}
