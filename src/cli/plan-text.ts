import type { Plan } from '../client/index.ts';
import { plural } from './terminal/figures.ts';

/** A plan in a few words: `route → partition 2`, `scatter → 4 partitions`. */
export function planSummary(plan: Plan | undefined): string {
  if (plan === undefined) return '';
  if (typeof plan === 'string') return plan;
  const kind = typeof plan.kind === 'string' ? plan.kind : 'plan';
  const target = targetOf(plan);
  return target === '' ? kind : `${kind} → ${target}`;
}

/** The server's reason for the plan, where it gives one. */
export function planReason(plan: Plan | undefined): string {
  return typeof plan === 'object' && typeof plan.reason === 'string' ? plan.reason : '';
}

function targetOf(plan: Readonly<Record<string, unknown>>): string {
  const { partition, partitions } = plan;
  if (typeof partition === 'number') return `partition ${partition}`;
  if (typeof partitions === 'number') return plural(partitions, 'partition');
  if (!Array.isArray(partitions) || partitions.length === 0) return '';
  return partitions.length === 1 ? `partition ${partitions[0]}` : plural(partitions.length, 'partition');
}
