import { asciiLower } from '../base/ascii.ts';
import { present } from '../base/assert.ts';
import type { PartitionId, TableId } from '../base/brand.ts';
import type { SqlValue } from '../base/sql-value.ts';
import type { Change, Image } from '../core/log/commit.ts';
import { encodeChanges } from '../core/log/encoding.ts';
import { definitionOf } from '../core/log/layout.ts';
import { bindPin } from '../core/plan/bind.ts';
import { keyOfEntry } from '../core/plan/lookup.ts';
import type { KeyTuple, ScatterWritePlan, Staged } from '../core/plan/plan.ts';
import { tokenOfKey } from '../core/schema/partition-key.ts';
import { keyColumns } from '../core/schema/placement.ts';
import type { Table } from '../core/schema/table.ts';
import { quoteName } from '../core/sqlite/quote.ts';
import { toBase64 } from '../protocol/base64.ts';
import { AtollError } from '../protocol/error.ts';
import type { WireStatement } from '../protocol/execute.ts';
import { parseJson } from '../protocol/json-text.ts';
import { decodeRow, encodeRow } from '../protocol/json-value.ts';
import type { Escapes } from '../protocol/transaction.ts';
import { executeIn } from './execute.ts';
import { fanOut } from './fan-out.ts';
import type { KeyedRequest } from './keyed-request.ts';
import type { KnownNetwork } from './known-network.ts';
import { askIndex } from './lookup.ts';
import { lostAnswer, READ } from './lost.ts';
import type { PartResult } from './parts.ts';
import { type Planned, PlanRefusal } from './planned.ts';
import type { ClientRequest } from './request.ts';
import { NO_STAGE, running, type Stage } from './stage.ts';
import {
  type Looking,
  refuseMeeting,
  refuseSharedVisitor,
  refuseUseOfStaged,
  rowText,
  type Sought,
  type StagedPlan,
  stagedPlan,
  type Visit,
  valueText,
} from './staged-together.ts';
import type { Session } from './statements.ts';
import { executeTransaction } from './transact.ts';
import { pauseAfterConflict } from './wait-die.ts';

/** Questions asked at a time (chosen: as for other reads). */
const PARALLEL_MAX = 32;
/** Values that one statement looks for (chosen: each is a message). */
const SOUGHT_MAX = 1_000;
/** How often the rows in the way are looked for in all, when others keep changing them (chosen). */
const ATTEMPTS_MAX = 20;

/**
 * Runs statements some of which are INSERTs with a clause for rows in their way: reads these, wherever they are, and has one
 * partition run such a statement as it is, with them. Their owners see to it that they were still the same; and where there was
 * none, that none has come. If not, all is tried again.
 */
export async function executeStaged(
  session: Session,
  known: KnownNetwork,
  request: Pick<ClientRequest, 'shape' | 'demand'>,
  planned: readonly Planned[],
  keyed: KeyedRequest | null,
  stage: Stage = NO_STAGE,
): Promise<Response> {
  const all = running(planned, stage);
  refuseUseOfStaged(known, all);
  const turn = Date.now();
  const looking = all.flatMap((each): Looking[] => {
    const plan = stagedPlan(each);
    if (plan === null) return [];
    const place = placeOfStage(known, each, plan, keyed, turn);
    return [{ each, plan, place, sought: soughtBy(known, each, plan, place) }];
  });
  refuseMeeting(looking);
  const places = new Map(looking.map(({ each, place }) => [each, place]));
  /** What was there when a value was found taken. */
  let violated: string | null = null;
  for (let attempt = 1; ; attempt++) {
    try {
      const { visitors, met } = await visitorsTo(session, known, request, looking);
      try {
        return await executeTransaction(session, known, request, planned, keyed, {
          ...stage,
          places,
          visitors,
          met,
        });
      } catch (error) {
        // It may be that somebody's row has come meanwhile: then it is found now.
        const there = JSON.stringify([...visitors]);
        const isOver = violated === there && !isTakenId(error, looking);
        if (!isUniqueViolation(error) || isOver) throw error;
        violated = there;
        if (attempt === ATTEMPTS_MAX) throw error;
      }
    } catch (error) {
      // What was gathered is to be read again as well.
      if (!hasChanged(error) || attempt === ATTEMPTS_MAX || stage.gathered.size > 0) throw error;
    }
    if (!(await pauseAfterConflict(session, attempt))) throw changed();
  }
}

function isUniqueViolation(error: unknown): boolean {
  return error instanceof AtollError && error.code === 'constraint' && error.message.startsWith('UNIQUE');
}

/** Ids of rows that were found are not claimed: a row with it has come since. */
function isTakenId(error: unknown, looking: readonly Looking[]): boolean {
  const detail = error instanceof AtollError ? error.detail : null;
  if (detail?.sqlite !== 'SQLITE_CONSTRAINT_PRIMARYKEY' || detail.values === undefined) return false;
  return looking.some(({ plan }) => plan.staged.table === detail.table);
}

export function hasChanged(error: unknown): boolean {
  return error instanceof AtollError && error.code === 'conflict' && error.detail?.reason === 'changed';
}

function changed(): AtollError {
  return new AtollError('conflict', 'others keep changing the rows in its way; try again', 'none', {
    reason: 'changed',
  });
}

// --- Where it runs ---------------------------------------------------------------------------------------------------

/** The home of its first row that has one. The same for a repeat under the same key. */
export function placeOfStage(
  known: KnownNetwork,
  { args }: Planned,
  plan: StagedPlan,
  keyed: KeyedRequest | null,
  turn: number,
): PartitionId {
  if (plan.kind === 'route') {
    const bound = bindPin(plan.pin, args, known.tokens);
    if (bound.kind === 'one') return bound.partition;
  } else {
    const first = homesOf(known, plan, args).find((home) => home !== null);
    if (first != null) return first;
  }
  if (keyed !== null) return known.tokens.partitionOf(keyed.token);
  const partitions = known.tokens.partitions();
  return partitions[turn % partitions.length] as PartitionId;
}

/** Of each row; null: its key is generated. */
function homesOf(
  known: KnownNetwork,
  { rows }: ScatterWritePlan,
  args: Planned['args'],
): (PartitionId | null)[] {
  const { keys, columns, generatesNull } = present(rows, 'rows of several keys are VALUES');
  return keys.map((tuple) => {
    const values = tuple === null ? null : bind(tuple, args);
    if (values === null || (generatesNull && values[0] === null)) return null;
    return known.tokens.partitionOf(tokenOfKey(values, columns));
  });
}

function bind(tuple: KeyTuple, args: Planned['args']): SqlValue[] {
  return tuple.map((source) => (source.kind === 'literal' ? source.value : (args[source.index - 1] ?? null)));
}

// --- What may be in its way ------------------------------------------------------------------------------------------

/** @throws PlanRefusal */
export function soughtBy(
  known: KnownNetwork,
  { args }: Planned,
  plan: StagedPlan,
  stage: PartitionId,
): readonly Sought[] {
  const { staged } = plan;
  const homes = plan.kind === 'scatter-write' ? homesOf(known, plan, args) : [];
  const everybody = known.tokens.partitions();
  const all = staged.constraints.map(({ index, everywhere, takesNull, columns, classes, values }) => {
    const seen = new Set<string>();
    return values.flatMap((tuple, row): Sought[] => {
      const bound = tuple === null ? null : bind(tuple, args);
      if (bound?.includes(null) === true && !takesNull) throw defaulted(row, staged, columns);
      if (bound === null || bound.includes(null)) return [];
      const text = valueText(bound, classes);
      if (seen.has(text) && !staged.rowsMayMeet) throw meeting(row, staged, columns);
      seen.add(text);
      // Here too: what is about to become of that row is to be waited for.
      if (everywhere) return everybody.map((home) => ({ index, home, columns, classes, values: bound }));
      if (index !== null)
        return [
          {
            index,
            home: known.tokens.partitionOf(tokenOfKey(bound, classes)),
            columns,
            classes,
            values: bound,
          },
        ];
      // What the stage has of its own is there anyway.
      const home = homes[row] ?? stage;
      return home === stage ? [] : [{ index, home, columns, classes, values: bound }];
    });
  });
  const sought = all.reduce((sum, each, at) => {
    return sum + each.length / (staged.constraints[at]?.everywhere === true ? everybody.length : 1);
  }, 0);
  if (sought <= SOUGHT_MAX) return all.flat();
  throw new PlanRefusal(
    'too-large',
    `${sought} values of "${staged.table}" are to be looked for, ${SOUGHT_MAX} are allowed: insert fewer rows at a time`,
  );
}

function defaulted(row: number, { table }: Staged, columns: readonly string[]): PlanRefusal {
  return new PlanRefusal(
    'needs-global-index',
    `REPLACE: row ${row + 1} has NULL in ${columns.map((name) => `"${name}"`).join(', ')} of "${table}", which becomes the default, and the row in ` +
      'its way is looked for first: give the value',
  );
}

function meeting(row: number, { table }: Staged, columns: readonly string[]): PlanRefusal {
  return new PlanRefusal(
    'unsupported',
    `row ${row + 1} has the same ${columns.map((name) => `"${name}"`).join(', ')} as a row before it, and "${table}" has ` +
      'constraints over partitions: insert them in statements of their own',
  );
}

/** The rows in the way, by where the statements run. @throws AtollError `conflict` if one has gone meanwhile */
async function visitorsTo(
  session: Session,
  known: KnownNetwork,
  request: Pick<ClientRequest, 'demand'>,
  looking: readonly Looking[],
): Promise<Pick<Stage, 'visitors' | 'met'>> {
  const visits: Visit[] = [];
  for (const [name, own] of Map.groupBy(looking, ({ plan }) => plan.staged.table)) {
    const table = present(known.schema.table(name), 'a plan is of a table of its schema');
    for (const [place, together] of Map.groupBy(own, (each) => each.place)) {
      const sought = together.flatMap((each) => each.sought);
      const images = await rowsInTheWay(session, known, request, table, sought);
      visits.push(...images.map((image) => ({ place, table, image })));
    }
  }
  refuseSharedVisitor(visits);
  const places = [...new Set(looking.map(({ place }) => place))];
  const visitors = new Map(
    places.map((place) => [place, visitorsOf(visits.filter((visit) => visit.place === place))]),
  );
  return { visitors, met: idsOf(visits) };
}

/** Ids of rows that were found, by table. */
export function idsOf(visits: readonly Visit[]): Stage['met'] {
  const met = new Map<TableId, Set<bigint>>();
  for (const { table, image } of visits) {
    const [at = 0] = definitionOf(table).key;
    const id = image[at];
    if (table.withoutRowid || typeof id !== 'bigint') continue;
    met.set(table.id, (met.get(table.id) ?? new Set()).add(id));
  }
  return met;
}

/** Reads them, by the indexes and then where they are; each once. @throws AtollError `conflict` if one has gone meanwhile */
async function rowsInTheWay(
  session: Session,
  known: KnownNetwork,
  { demand }: Pick<ClientRequest, 'demand'>,
  table: Table,
  sought: readonly Sought[],
): Promise<readonly Image[]> {
  const strong = { ...demand, consistency: 'strong', past: null } as const;
  const places = await fanOut(sought, PARALLEL_MAX, async (each, signal) => {
    const { index, home, columns, values } = each;
    if (index === null) return { partition: home, names: columns, values, exists: false };
    const text = encodeRow(values);
    const scoped = { ...session, context: { ...session.context, signal } };
    const { entry } = await askIndex(scoped, known, strong, home, index, text);
    return entry === null ? null : placeOf(known, table, index, decodeRow(parseJson(entry) as unknown[]));
  });
  const byPartition = Map.groupBy(
    places.filter((place) => place !== null),
    ({ partition }) => partition,
  );
  const found = await fanOut([...byPartition], PARALLEL_MAX, async ([partition, asked], signal) => {
    const statements = asked.map(({ names, values }) => selectOf(table, names, values));
    const work = { partition, shape: 'batch', read: true, statements, demand: strong } as const;
    const response = await executeIn(session.database, known, work, { ...session.context, signal });
    const text = await response.text().catch((error: unknown) => {
      throw lostAnswer(error, partition, READ);
    });
    // Not `JSON.parse`, for which 1.0 is 1.
    const { results } = parseJson(text) as { results: PartResult[] };
    return asked.flatMap(({ exists }, at) => {
      const rows = results[at]?.rows ?? [];
      if (exists && rows.length === 0) throw changed();
      return rows.map((row) => decodeRow(row));
    });
  });
  const distinct = new Map(found.flat().map((image) => [rowText(table, image), image]));
  return [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, image]) => image);
}

interface Place {
  readonly partition: PartitionId;
  readonly names: readonly string[];
  readonly values: readonly SqlValue[];
  /** An index has it. */
  readonly exists: boolean;
}

function placeOf(
  known: KnownNetwork,
  table: Table,
  id: NonNullable<Sought['index']>,
  entry: readonly SqlValue[],
): Place {
  const index = present(
    known.schema.uniquesOf(table).find((each) => each.table.id === id),
    'a plan is of indexes of its schema',
  );
  const partition = known.tokens.partitionOf(tokenOfKey(keyOfEntry(index, table, entry), keyColumns(table)));
  return { partition, names: [...index.columns, ...index.row], values: entry, exists: true };
}

/** The row's image, in the order of its layout. */
function selectOf(table: Table, names: readonly string[], values: readonly SqlValue[]): WireStatement {
  return selectAny(table, [{ columns: names, values }]);
}

/** The images of rows that have any of these values. */
export function selectAny(table: Table, any: readonly Pick<Sought, 'columns' | 'values'>[]): WireStatement {
  const { columns, hiddenRowid } = definitionOf(table);
  const list = columns.map((column, i) => (hiddenRowid && i === 0 ? column : quoteName(column)));
  let parameter = 0;
  const terms = any.map((each) => {
    const equal = each.columns.map((column) => {
      const isHidden = !table.columns.some(({ name }) => asciiLower(name) === asciiLower(column));
      return `${isHidden ? column : quoteName(column)} = ?${++parameter}`;
    });
    return `(${equal.join(' AND ')})`;
  });
  const sql = `SELECT ${list.join(', ')} FROM ${quoteName(table.name)} WHERE ${terms.join(' OR ')}`;
  return { sql, args: parseJson(encodeRow(any.flatMap(({ values }) => values))) };
}

export function visitorsOf(visits: readonly Visit[]): Escapes {
  const changes = visits.map(
    ({ table, image }): Change => ({
      type: 'create',
      tableId: table.id,
      layout: 0,
      before: null,
      after: image,
    }),
  );
  return {
    tokens: visits.map(({ table, image }) => {
      const lower = definitionOf(table).columns.map(asciiLower);
      const key = table.placement.kind === 'partitioned' ? table.placement.key : [];
      return tokenOfKey(
        key.map((name) => image[lower.indexOf(asciiLower(name))] ?? null),
        keyColumns(table),
      );
    }),
    changes: toBase64(encodeChanges(changes)),
  };
}
