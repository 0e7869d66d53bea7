import type { PartitionId } from '../base/brand.ts';
import type { SqlValue } from '../base/sql-value.ts';
import { bindTargets } from '../core/plan/bind.ts';
import { MergeError } from '../core/plan/evaluate/error.ts';
import { mergeAnswers, type PartitionRows } from '../core/plan/merge/merge.ts';
import type { ScatterPlan } from '../core/plan/plan.ts';
import { bindParameters } from '../core/plan/scatter/parameters.ts';
import { AtollError } from '../protocol/error.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, encodeRow, encodeValue } from '../protocol/json-value.ts';
import { executeIn } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { KnownNetwork } from './known-network.ts';
import type { Planned } from './planned.ts';
import type { Session } from './statements.ts';

/** Partitions asked at a time (chosen: answers are held in the Worker's 128 MB until they are merged). */
const PARALLEL_MAX = 32;
/** What all partitions together may answer, bytes of JSON (chosen, as above). */
const ANSWERS_BYTES_MAX = 32 * 1024 * 1024;

/** Asks every partition that may have rows, and merges what they answer. Not as of one moment: the reply says so. */
export async function executeScatter(
  session: Session,
  known: KnownNetwork,
  { args }: Planned,
  plan: ScatterPlan,
): Promise<Response> {
  const bound = bindTargets(plan.targets, args, known.tokens);
  // `key IN ()` owns nothing, but the answer still has columns, and an aggregate a row.
  const partitions = bound.length > 0 ? bound : known.tokens.partitions().slice(0, 1);
  const now = new Date().toISOString().replace('T', ' ').replace('Z', '');
  try {
    const values = bindParameters(plan, args, now);
    const answers = await gather(session, known, plan, partitions, values);
    return encode(mergeAnswers(plan.merge, answers, args), partitions);
  } catch (error) {
    if (!(error instanceof MergeError)) throw error;
    throw new AtollError(error.kind === 'unsupported' ? 'unsupported' : 'sql', error.message);
  }
}

async function gather(
  session: Session,
  known: KnownNetwork,
  plan: ScatterPlan,
  partitions: readonly PartitionId[],
  values: readonly SqlValue[],
): Promise<PartitionRows[]> {
  session.database.metrics.fanOut.observe(partitions.length);
  const statement = { sql: plan.sql, args: parseJson(`[${values.map(encodeValue).join(',')}]`) };
  let bytes = 0;
  return fanOut(partitions, PARALLEL_MAX, async (partition, signal) => {
    const work = { partition, shape: 'query', read: true, statements: [statement] } as const;
    const response = await executeIn(session.database, known, work, { ...session.context, signal });
    const text = await response.text();
    bytes += text.length;
    if (bytes > ANSWERS_BYTES_MAX) {
      throw new AtollError(
        'result-too-large',
        `the partitions' answers are larger than ${ANSWERS_BYTES_MAX} bytes together: add a filter, an aggregate or LIMIT`,
      );
    }
    const { columns, rows } = parseJson(text) as { columns: string[]; rows: unknown[][] };
    return { columns, rows: rows.map((row) => decodeRow(row)) };
  });
}

function encode({ columns, rows }: PartitionRows, partitions: readonly PartitionId[]): Response {
  const body =
    `{"columns":${JSON.stringify(columns)},"rows":[${rows.map((row) => encodeRow(row)).join(',')}],` +
    `"rowsAffected":0,"lastInsertRowid":null,"consistency":"per-partition",` +
    `"plan":{"kind":"scatter","partitions":${JSON.stringify(partitions)}}}`;
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}
