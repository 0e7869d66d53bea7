import { asciiLower } from '../../base/ascii.ts';
import type { Schema } from '../schema/catalogue.ts';
import { Analyzer } from '../sql/analysis/analyzer.ts';
import { constantOf } from '../sql/analysis/constant.ts';
import type { SelectModel } from '../sql/analysis/model.ts';
import { refuse } from '../sql/analysis/refusal.ts';
import type { Insert, Node, ParsedStatement, Select, Span } from '../sql/ast.ts';
import { parseStatement } from '../sql/parse.ts';
import { planInsert } from './insert.ts';
import { namesOf } from './instant.ts';
import type { GatheredInsertPlan, GatheredRead, Plan, Tables } from './plan.ts';
import { Renderer } from './renderer.ts';
import { returningNames } from './returning-names.ts';
import { planSelect } from './select.ts';
import { spliced } from './splice.ts';

/**
 * The plan of an INSERT that nobody can run as it is: its rows are read first, and then inserted as VALUES. Null: that would not be the same.
 *
 * @throws Refusal for why they cannot be read, or inserted
 */
export function planGathered(
  parsed: ParsedStatement,
  ast: Insert,
  sql: string,
  schema: Schema,
): GatheredInsertPlan | null {
  const { source } = ast;
  if (ast.with !== null && LOOKS.test(sql.slice(source?.end ?? 0))) return null;
  if (source === null || isPlain(source) || (ast.with !== null && source.with !== null)) return null;
  const numbered = parsed.parameters.map(({ start, end, index }) => ({ start, end, text: `?${index}` }));
  const piece = (span: Span) => spliced(sql, span, numbered);
  const own = `${ast.with === null ? '' : `${piece(ast.with)} `}${piece(source)}`;
  const { read, model, isVolatile } = planRead(own, schema);
  const { partitioned, reference } = read.plan.tables;
  if (isVolatile && partitioned.length + reference.length > 0)
    refuse('unsupported', 'it has another answer each time: pass what random() or a view says as parameters');
  const prefix = `${piece({ start: ast.with?.end ?? ast.start, end: source.start }).trimStart()}VALUES `;
  const suffix = spliced(sql, { start: source.end, end: ast.end }, [
    ...numbered,
    // Columns of RETURNING keep the names that their own text gives them.
    ...namesOf(ast.returning, numbered, sql),
  ]);
  const insert = planOne(`${prefix}(${cellsOf(model).join()})${suffix}`, schema);
  if (insert === null || isSeenByItself(insert, read.plan.tables)) return null;
  return {
    kind: 'gathered-insert',
    read,
    prefix,
    suffix,
    parameterCount: countOf(parsed, [
      [ast.start, source.start],
      [source.end, ast.end],
    ]),
    insert,
    returning: returningNames(schema, ast, sql),
    tables: {
      partitioned: [...new Set([...insert.tables.partitioned, ...partitioned])],
      reference: [...new Set([...insert.tables.reference, ...reference])],
    },
    reaches: insert.reaches,
    reason: 'its rows are read first, and inserted if they are still the same',
  };
}

/** What comes behind the SELECT may read a common table, which is none of the INSERT's any more: a word too many, and it is refused. */
const LOOKS = /\b(?:select|in)\b/i;

/** Whether it is VALUES of nothing that would have to be read. */
function isPlain({ body, compounds }: Select): boolean {
  const rows = body.kind === 'values' && compounds.length === 0 ? body.rows : null;
  return rows?.every(({ items }) => items.every((item) => constantOf(item) !== null)) ?? false;
}

/** The largest number of a parameter in any of the spans. */
function countOf({ parameters }: ParsedStatement, spans: readonly (readonly [number, number])[]): number {
  const inside = ({ start, end }: Span) => spans.some(([from, to]) => start >= from && end <= to);
  return Math.max(0, ...parameters.filter(inside).map(({ index }) => index));
}

interface Read {
  readonly read: GatheredRead;
  readonly model: SelectModel;
  /** Another time it would answer otherwise, though nothing has changed. */
  readonly isVolatile: boolean;
}

/** @throws Refusal */
function planRead(sql: string, schema: Schema): Read {
  const parsed = parseStatement(sql);
  const select = parsed.statement as Select;
  const plan = planSelect(parsed, select, sql, schema);
  if (plan.kind !== 'route' && plan.kind !== 'scatter') return refuse('unsupported', 'it is no read of rows');
  const analyzer = new Analyzer(schema, sql);
  const model = analyzer.select(select, null, null);
  const { randomDepths, clockInView } = analyzer;
  const timed = plan.kind === 'route' ? timedText(select, sql) : null;
  const read = { sql, parameterCount: parsed.parameterCount, plan };
  return {
    read: timed === null ? read : { ...read, timed },
    model,
    isVolatile: randomDepths.length > 0 || clockInView,
  };
}

/** So that it is asked for the same time again; null: it asks for none. */
function timedText(select: Select, sql: string): Required<GatheredRead>['timed'] | null {
  const renderer = new Renderer(sql);
  const text = renderer.piece({ start: 0, end: sql.length }, select as Node, null);
  const { parameters } = renderer;
  const asks = parameters.some((each) => each.kind === 'now' || (each.kind === 'argument' && each.time));
  return asks ? { sql: text, parameters } : null;
}

/** Of a row like those that come: where they all have NULL, an id may be generated. */
function cellsOf({ cores, outputs }: SelectModel): string[] {
  return outputs.map((_, place) => {
    const isNull = cores.every((core) => {
      const expression = core.outputs[place]?.expression;
      const constant = expression == null ? null : constantOf(expression);
      return constant?.kind === 'literal' && constant.value === null;
    });
    return isNull ? 'NULL' : '1';
  });
}

/** @throws Refusal */
function planOne(sql: string, schema: Schema): GatheredInsertPlan['insert'] | null {
  const parsed = parseStatement(sql);
  if (parsed.statement.kind !== 'insert') return null;
  const plan: Plan = planInsert(parsed, parsed.statement, sql, schema);
  if (plan.kind !== 'route' && plan.kind !== 'scatter-write' && plan.kind !== 'reference-write') return null;
  return 'staged' in plan && plan.staged?.refusal !== undefined ? null : plan;
}

/**
 * Whether the read, when it is made once more beside the INSERT, would see some of what that does: copies of reference tables are then as they
 * will be, and rows in the way of others have come from their partitions.
 */
function isSeenByItself(insert: GatheredInsertPlan['insert'], read: Tables): boolean {
  const early =
    insert.kind === 'reference-write'
      ? [...insert.tables.reference, ...insert.reaches, ...(insert.acts ?? [])]
      : insert.staged === undefined
        ? []
        : [insert.staged.table];
  const names = new Set([...read.partitioned, ...read.reference].map(asciiLower));
  return early.some((name) => names.has(asciiLower(name)));
}
