import type { Analyzer } from '../sql/analysis/analyzer.ts';
import type { Delete, Insert, Node, Returning, Span, Update } from '../sql/ast.ts';
import type { ParameterSource } from './plan.ts';
import { Renderer } from './renderer.ts';
import { type Edit, spliced } from './splice.ts';

/** SQLite's answer would be one for the whole statement; each partition would ask its own clock. */
export const VIEW_READS_CLOCK =
  'the present time in a view differs per partition: say it in the statement, or pass it as a parameter';

/** Why a write that runs in several partitions would not have one answer of chance and time in all; null: it has. `depth`: of subqueries, in which random() is evaluated once. */
export function whyVolatile({ randomDepths, clockInView }: Analyzer, depth: number): string | null {
  // Once for each row it may be anywhere; SQLite evaluates a subquery once for the whole statement.
  if (randomDepths.some((each) => each >= depth))
    return 'random() in a subquery differs per partition: pass its value as a parameter';
  return clockInView ? VIEW_READS_CLOCK : null;
}

/** A write's text with the present time as a parameter, the same one in all partitions that run it. */
export interface WithInstant {
  /** The text of a span of the statement. */
  readonly piece: (span: Span) => string;
  readonly parameters: readonly ParameterSource[];
}

/**
 * Null: nothing in the statement asks for the time, or could. What views, triggers and defaults ask for is not seen.
 * Columns of RETURNING keep the names that their own text gives them.
 */
export function withInstant(ast: Insert | Update | Delete, sql: string): WithInstant | null {
  const renderer = new Renderer(sql);
  const edits = renderer.edits(ast as Node, null);
  const { parameters } = renderer;
  if (!parameters.some(isTime)) return null;
  const all = [...edits, ...namesOf(ast.returning, edits, sql)];
  return { piece: (span) => spliced(sql, span, all), parameters };
}

function isTime(source: ParameterSource): boolean {
  return source.kind === 'now' || (source.kind === 'argument' && source.time);
}

/** Edits that give columns of RETURNING in which something is edited the names of their former text. */
export function namesOf(returning: Returning | null, edits: readonly Edit[], sql: string): Edit[] {
  return (returning?.columns ?? []).flatMap((column) => {
    if (column.kind !== 'result-expression' || column.alias !== null) return [];
    const { start, end } = column.expression;
    if (!edits.some((edit) => edit.start >= start && edit.end <= end)) return [];
    const name = sql.slice(start, end).replaceAll('"', '""');
    return [{ start: end, end, text: ` AS "${name}"` }];
  });
}
