import type { Affinity, Collation } from '../../schema/table.ts';
import { constantOf } from '../../sql/analysis/constant.ts';
import { refuse } from '../../sql/analysis/refusal.ts';
import { affinityOfType, comparisonCollation, type ExpressionClass } from '../../sql/analysis/value-class.ts';
import type { Binary, Expression, FunctionCall } from '../../sql/ast.ts';
import type { ArithmeticOperator, CompareOperator, Comparison, Scalar } from '../plan.ts';

/** Supplies what the router cannot compute: columns and aggregates. Null: look inside the expression. */
export interface Leaves {
  leaf(expression: Expression): Scalar | null;
  classOf(expression: Expression): ExpressionClass;
}

const ARITHMETIC: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', '&', '|', '<<', '>>', '||']);
const COMPARE: ReadonlySet<string> = new Set(['=', '!=', '<', '<=', '>', '>=', 'IS', 'IS NOT']);
const NULL: Scalar = { kind: 'constant', value: null };

/** An expression for the router's evaluator; refuses what that does not know. */
export function compile(expression: Expression, leaves: Leaves): Scalar {
  const leaf = leaves.leaf(expression);
  if (leaf !== null) return leaf;
  const constant = constantOf(withoutPlus(expression));
  if (constant !== null) {
    return constant.kind === 'literal'
      ? { kind: 'constant', value: constant.value }
      : { kind: 'argument', index: constant.index };
  }
  const inner = (child: Expression): Scalar => compile(child, leaves);
  switch (expression.kind) {
    case 'unary':
      if (expression.operator === '+') return inner(expression.operand);
      return { kind: 'unary', operator: expression.operator, operand: inner(expression.operand) };
    case 'binary':
      return binary(expression, leaves);
    case 'collate':
      return inner(expression.operand);
    case 'null-test':
      return { kind: 'null-test', negated: expression.negated, operand: inner(expression.operand) };
    case 'between': {
      const { operand, low, high } = expression;
      const both = logic('AND', compare('>=', operand, low, leaves), compare('<=', operand, high, leaves));
      return expression.negated ? { kind: 'unary', operator: 'NOT', operand: both } : both;
    }
    case 'case':
      return {
        kind: 'case',
        branches: expression.branches.map(({ when, result }) => ({
          when: expression.operand === null ? inner(when) : compare('=', expression.operand, when, leaves),
          result: inner(result),
        })),
        otherwise: expression.otherwise === null ? NULL : inner(expression.otherwise),
      };
    case 'cast': {
      const affinity = affinityOfType(expression.type?.text ?? '');
      return { kind: 'cast', operand: inner(expression.operand), affinity };
    }
    case 'in':
      return inList(expression, leaves);
    case 'function':
      return call(expression, leaves);
    default:
      return unknown(expression);
  }
}

/** `-(+9)`: SQLite drops the plus before it reads the literal with its sign, which tells for the least integer. */
function withoutPlus(expression: Expression): Expression {
  if (expression.kind !== 'unary' || expression.operator !== '-') return expression;
  let { operand } = expression;
  while (operand.kind === 'unary' && operand.operator === '+') operand = operand.operand;
  return operand === expression.operand ? expression : { ...expression, operand };
}

function unknown(expression: Expression): never {
  const what = expression.kind === 'function' ? `${expression.function}()` : expression.kind;
  return refuse(
    'unsupported',
    `${what} over the results of several partitions: restrict the partition key, group by it, or compute it in the client`,
  );
}

function logic(operator: 'AND' | 'OR', left: Scalar, right: Scalar): Scalar {
  return { kind: 'logic', operator, left, right };
}

function binary(expression: Binary, leaves: Leaves): Scalar {
  const { operator, left, right } = expression;
  if (operator === 'AND' || operator === 'OR') {
    return logic(operator, compile(left, leaves), compile(right, leaves));
  }
  if ((operator === 'IS' || operator === 'IS NOT') && isTruth(right)) return unknown(expression);
  if (COMPARE.has(operator)) return compare(operator as CompareOperator, left, right, leaves);
  if (!ARITHMETIC.has(operator)) return unknown(expression);
  return {
    kind: 'arithmetic',
    operator: operator as ArithmeticOperator,
    left: compile(left, leaves),
    right: compile(right, leaves),
  };
}

/** `x IS TRUE` asks for truth, not for equality with 1. */
function isTruth(expression: Expression): boolean {
  return expression.kind === 'column' && /^(true|false)$/i.test(expression.name.name);
}

function compare(operator: CompareOperator, left: Expression, right: Expression, leaves: Leaves): Scalar {
  if (left.kind === 'row' || right.kind === 'row') return unknown(left);
  return {
    kind: 'compare',
    operator,
    left: compile(left, leaves),
    right: compile(right, leaves),
    comparison: comparisonOf(leaves.classOf(left), leaves.classOf(right)),
  };
}

/** https://www.sqlite.org/datatype3.html section 4.2: numeric affinity wins over TEXT and none, TEXT over none. */
export function comparisonOf(left: ExpressionClass, right: ExpressionClass): Comparison {
  const collation = comparisonCollation(left, right);
  const [a, b] = [left.affinity, right.affinity];
  const numeric = (affinity: Affinity | null): boolean =>
    affinity === 'INTEGER' || affinity === 'REAL' || affinity === 'NUMERIC';
  if (numeric(a) && !numeric(b)) return { left: null, right: 'NUMERIC', collation };
  if (numeric(b) && !numeric(a)) return { left: 'NUMERIC', right: null, collation };
  if (a === 'TEXT' && (b === null || b === 'BLOB'))
    return { left: null, right: b === null ? 'TEXT' : null, collation };
  if (b === 'TEXT' && (a === null || a === 'BLOB'))
    return { left: a === null ? 'TEXT' : null, right: null, collation };
  return { left: null, right: null, collation };
}

/** `a IN (x, y)` is `a = +x OR a = +y`, with a's collation. */
function inList(expression: Expression & { kind: 'in' }, leaves: Leaves): Scalar {
  const { operand, source, negated } = expression;
  if (source.kind !== 'in-list' || operand.kind === 'row') return unknown(expression);
  const left = compile(operand, leaves);
  const own = leaves.classOf(operand);
  const comparison = comparisonOf(own, { affinity: null, collation: null, explicit: false });
  let any: Scalar = { kind: 'constant', value: 0n };
  for (const item of source.items) {
    const right = compile(item, leaves);
    any = logic('OR', any, { kind: 'compare', operator: '=', left, right, comparison });
  }
  return negated ? { kind: 'unary', operator: 'NOT', operand: any } : any;
}

function call(expression: FunctionCall, leaves: Leaves): Scalar {
  const { function: name, arguments: args } = expression;
  const [first, second, third] = args;
  if (expression.over !== null || expression.filter !== null || expression.star) return unknown(expression);
  const compiled = (): Scalar[] => args.map((argument) => compile(argument, leaves));
  const collation: Collation = 'BINARY';
  switch (name) {
    case 'coalesce':
    case 'ifnull':
      return { kind: 'call', function: 'coalesce', arguments: compiled(), collation };
    case 'abs':
    case 'round':
    case 'typeof':
    case 'length':
      return { kind: 'call', function: name, arguments: compiled(), collation };
    case 'min':
    case 'max': {
      const own = args.map((argument) => leaves.classOf(argument).collation).find((c) => c !== null);
      return { kind: 'call', function: name, arguments: compiled(), collation: own ?? 'BINARY' };
    }
    case 'nullif':
      if (first === undefined || second === undefined) return unknown(expression);
      return {
        kind: 'case',
        branches: [{ when: nullif(first, second, leaves), result: NULL }],
        otherwise: compile(first, leaves),
      };
    case 'iif':
    case 'if':
      if (first === undefined || second === undefined || args.length > 3) return unknown(expression);
      return {
        kind: 'case',
        branches: [{ when: compile(first, leaves), result: compile(second, leaves) }],
        otherwise: third === undefined ? NULL : compile(third, leaves),
      };
    default:
      return unknown(expression);
  }
}

/** nullif() compares its values as they are: no affinity, the collation of its arguments. */
function nullif(left: Expression, right: Expression, leaves: Leaves): Scalar {
  const collation = leaves.classOf(left).collation ?? leaves.classOf(right).collation ?? 'BINARY';
  return {
    kind: 'compare',
    operator: '=',
    left: compile(left, leaves),
    right: compile(right, leaves),
    comparison: { left: null, right: null, collation },
  };
}

/** For LIMIT and OFFSET: nothing but constants and arithmetic. */
export const NO_LEAVES: Leaves = {
  leaf: () => null,
  classOf: () => ({ affinity: null, collation: null, explicit: false }),
};
