import { asciiLower } from '../../../base/ascii.ts';
import type { From, Join, TableSource } from '../ast.ts';
import { addFacts, addUsing, type Condition } from './facts.ts';
import type { ReachGraph } from './graph.ts';
import type { Resolved, Scope, Source } from './model.ts';
import { refuse } from './refusal.ts';

/** One join of a chain, once its sources exist. */
interface JoinStep {
  readonly join: Join;
  readonly left: readonly Source[];
  readonly right: readonly Source[];
  /** Sources that joins inside the chain so far may NULL-fill. */
  readonly nullable: ReadonlySet<Source>;
  readonly using: readonly string[];
}

export interface FromModel {
  readonly sources: readonly Source[];
  readonly coalesced: ReadonlySet<string>;
  readonly steps: readonly JoinStep[];
}

/** The sources of a FROM in order, which of them outer joins may NULL-fill, and what USING and NATURAL merge. */
export function readFrom(from: From | null, sourceOf: (table: TableSource) => Source): FromModel {
  const reader = new FromReader(sourceOf);
  const sources = from === null ? [] : reader.chain(from);
  return { sources, coalesced: reader.coalesced, steps: reader.steps };
}

class FromReader {
  readonly steps: JoinStep[] = [];
  readonly coalesced = new Set<string>();
  readonly #sourceOf: (table: TableSource) => Source;

  constructor(sourceOf: (table: TableSource) => Source) {
    this.#sourceOf = sourceOf;
  }

  chain(from: From): Source[] {
    let left = this.#sources(from.first);
    for (const join of from.joins) {
      const right = this.#sources(join.table);
      const using = this.#merged(join, left, right);
      const nullable = new Set([...left, ...right].filter((source) => source.nullable));
      if (join.type === 'right' || join.type === 'full') for (const source of left) source.nullable = true;
      if (join.type === 'left' || join.type === 'full') for (const source of right) source.nullable = true;
      this.steps.push({ join, left, right, nullable, using });
      left = [...left, ...right];
    }
    return left;
  }

  #sources(table: TableSource): Source[] {
    if (table.kind !== 'nested-join') return [this.#sourceOf(table)];
    if (table.alias !== null)
      refuse('unsupported', 'an alias of a join in parentheses: name its tables instead');
    return this.chain(table.from);
  }

  /** Names in USING, or common to both sides of a NATURAL join; the right side's are left out of `*`. */
  #merged(join: Join, left: readonly Source[], right: readonly Source[]): string[] {
    const names =
      join.using !== null
        ? join.using.map((identifier) => asciiLower(identifier.name))
        : join.natural
          ? right.flatMap((source) => columnNames(source)).filter((name) => findColumn(left, name) !== null)
          : [];
    if (names.length > 0 && right.length > 1) {
      refuse('unsupported', 'USING or NATURAL with a join in parentheses: write ON instead');
    }
    for (const name of names) {
      if (findColumn(left, name) === null || findColumn(right, name) === null) {
        refuse('no-such-column', `cannot join using column ${name} - column not present in both tables`);
      }
      for (const source of right) source.merged.add(name);
      if (join.type === 'right' || join.type === 'full') this.coalesced.add(name);
    }
    return names;
  }
}

/** What the joins' conditions say; needs the whole scope, since ON may name any table. */
export function addJoinFacts(from: FromModel, scope: Scope, graph: ReachGraph): void {
  for (const step of from.steps) {
    const condition = conditionOf(step, scope);
    if (condition === null) continue;
    if (step.join.on !== null) addFacts(step.join.on, condition, graph);
    for (const name of step.using) {
      if (from.coalesced.has(name)) continue;
      const a = findColumn(step.left, name);
      const b = findColumn(step.right, name, true);
      if (a !== null && b !== null) addUsing(a, b, condition, graph);
    }
  }
}

/**
 * An inner join's ON restricts both sides; a LEFT JOIN's only the right one, given the left one; a FULL JOIN's
 * none, since rows that do not match are kept.
 */
function conditionOf({ join, left, right, nullable }: JoinStep, scope: Scope): Condition | null {
  const none: ReadonlySet<Source> = new Set();
  if (join.type === 'full') return null;
  if (join.type === 'left') return { scope, restricts: new Set(right), given: new Set(left), nullable };
  if (join.type === 'right') return { scope, restricts: new Set(left), given: new Set(right), nullable };
  return { scope, restricts: new Set([...left, ...right]), given: none, nullable };
}

function columnNames(source: Source): string[] {
  return source.columns.map((column) => asciiLower(column.name));
}

/** The leftmost column of that name, `own`: also one that USING leaves out. */
function findColumn(
  sources: readonly Source[],
  name: string,
  own = false,
): (Resolved & { kind: 'column' }) | null {
  for (const source of sources) {
    if (!own && source.merged.has(name)) continue;
    const column = source.columns.find((c) => asciiLower(c.name) === name);
    if (column !== undefined) return { kind: 'column', source, ...column, depth: 0 };
  }
  return null;
}
