import { planStatement } from '../../src/core/plan/statement.ts';
import type { Schema } from '../../src/core/schema/catalogue.ts';
import { parseStatement } from '../../src/core/sql/parse.ts';

/**
 * Whether routers refuse a write because rows of other partitions refer to the row that it takes away: the partition that it would
 * run in cannot see them. Other refusals are a router's own, and what they are about is tried here on purpose. Found by
 * seed 1696 of 2026-11-20.
 */
export function isHeldBack(sql: string, schema: Schema): boolean {
  const plan = planStatement(parseStatement(sql), sql, schema);
  return plan.kind === 'refused' && plan.message.includes('refer to the reference table');
}
