import type { Call } from './call.ts';
import type { ClientRequest } from './request.ts';

/** A request that takes longer is written to the log, ms (chosen). */
const SLOW_MS = 500;
/** Of each statement, characters. */
const SQL_MAX = 500;
/** Of one request. */
const STATEMENTS_MAX = 10;

/** One line of JSON: the statements without their arguments, which may be private. */
export function logIfSlow(call: Call, { statements }: Pick<ClientRequest, 'statements'>): void {
  const milliseconds = Date.now() - call.started;
  if (milliseconds < SLOW_MS) return;
  call.gateway.metrics.slow.add(1);
  const sql = statements.slice(0, STATEMENTS_MAX).map((statement) => statement.sql.slice(0, SQL_MAX));
  console.warn(
    JSON.stringify({
      event: 'slow-statement',
      trace: call.trace,
      milliseconds,
      count: statements.length,
      sql,
    }),
  );
}
