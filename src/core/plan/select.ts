import type { Schema } from '../schema/catalogue.ts';
import { Analyzer } from '../sql/analysis/analyzer.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { ParsedStatement, Select } from '../sql/ast.ts';
import { lookupOf } from './lookup.ts';
import { pinOf } from './pin.ts';
import type { Plan } from './plan.ts';
import { planScatter } from './scatter/select.ts';
import { tablesOf } from './tables.ts';

/** Route if every partitioned table is restricted to one key value, else scatter, else a refusal that says why. */
export function planSelect(parsed: ParsedStatement, select: Select, sql: string, schema: Schema): Plan {
  // Where the past can be read, the clause has been taken off: as-of.ts.
  if (select.asOf !== null) refuse('unsupported', 'AS OF cannot be said here yet: leave the clause out');
  const analyzer = new Analyzer(schema, sql);
  const model = analyzer.select(select, null, null);
  refuseConnectionCalls(analyzer);
  const tables = tablesOf(analyzer, null);
  const base = { kind: 'route', access: 'read', tables, reaches: [] } as const;
  if (analyzer.uses.length === 0) {
    const what = tables.reference.length > 0 ? 'it reads reference tables only' : 'it reads no tables';
    return { ...base, pin: { kind: 'any' }, reason: `${what}: any partition has the answer` };
  }
  const pinned = pinOf(analyzer.uses, analyzer.graph);
  if (pinned !== null && pinned.tuples.length === 1) {
    return {
      ...base,
      pin: { kind: 'key', ...pinned, generatesNull: false },
      reason: 'every partitioned table is restricted to one partition key',
    };
  }
  const lookup = lookupOf(analyzer, schema);
  const plan = planScatter({ parsed, select, sql, analyzer, model, pinned, tables });
  return lookup === null ? plan : { ...plan, lookup };
}

/** They answer for the connection, not for the client. */
export function refuseConnectionCalls(analyzer: Analyzer): void {
  const [call] = analyzer.connectionCalls;
  if (call !== undefined) {
    refuse(
      'unsupported',
      `${call}() would answer for other clients' statements: use rowsAffected and lastInsertRowid of the reply`,
    );
  }
}
