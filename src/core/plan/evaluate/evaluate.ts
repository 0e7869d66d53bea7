import type { SqlValue } from '../../../base/sql-value.ts';
import { storedAs } from '../../schema/affinity.ts';
import type { CompareOperator, Comparison, Scalar } from '../plan.ts';
import { arithmetic, negate } from './arithmetic.ts';
import { cast } from './cast.ts';
import { compareValues } from './compare.ts';
import { callFunction } from './functions.ts';
import { fromTruth, operand, toInteger, truth } from './number.ts';

/** What an expression sees: the arguments by parameter index, and the slots of a group. */
export interface Surroundings {
  readonly args: readonly SqlValue[];
  readonly slots: readonly SqlValue[];
}

/** The value of an expression with SQLite's semantics; see {@link Scalar} for what there is. */
export function evaluate(scalar: Scalar, at: Surroundings): SqlValue {
  switch (scalar.kind) {
    case 'constant':
      return scalar.value;
    case 'argument':
      return at.args[scalar.index - 1] ?? null;
    case 'slot':
      return at.slots[scalar.index] ?? null;
    case 'unary':
      return unary(scalar.operator, evaluate(scalar.operand, at));
    case 'arithmetic':
      return arithmetic(scalar.operator, evaluate(scalar.left, at), evaluate(scalar.right, at));
    case 'logic':
      return logic(scalar.operator, truth(evaluate(scalar.left, at)), truth(evaluate(scalar.right, at)));
    case 'compare':
      return compare(
        scalar.operator,
        evaluate(scalar.left, at),
        evaluate(scalar.right, at),
        scalar.comparison,
      );
    case 'null-test':
      return fromTruth((evaluate(scalar.operand, at) === null) !== scalar.negated);
    case 'case': {
      const branch = scalar.branches.find(({ when }) => truth(evaluate(when, at)) === true);
      return evaluate(branch?.result ?? scalar.otherwise, at);
    }
    case 'cast':
      return cast(evaluate(scalar.operand, at), scalar.affinity);
    case 'call':
      return call(scalar, at);
  }
}

function call(scalar: Scalar & { kind: 'call' }, at: Surroundings): SqlValue {
  if (scalar.function !== 'coalesce') {
    const values = scalar.arguments.map((argument) => evaluate(argument, at));
    return callFunction(scalar.function, values, scalar.collation);
  }
  for (const argument of scalar.arguments) {
    const value = evaluate(argument, at);
    if (value !== null) return value;
  }
  return null;
}

function unary(operator: '-' | '~' | 'NOT', value: SqlValue): SqlValue {
  if (operator === '-') return negate(value);
  if (operator === 'NOT') {
    const known = truth(value);
    return known === null ? null : fromTruth(!known);
  }
  const number = operand(value);
  return number === null ? null : ~toInteger(number);
}

function logic(operator: 'AND' | 'OR', a: boolean | null, b: boolean | null): SqlValue {
  const decisive = operator === 'OR';
  if (a === decisive || b === decisive) return fromTruth(decisive);
  return a === null || b === null ? null : fromTruth(!decisive);
}

function compare(operator: CompareOperator, a: SqlValue, b: SqlValue, how: Comparison): SqlValue {
  if (operator !== 'IS' && operator !== 'IS NOT' && (a === null || b === null)) return null;
  const left = how.left === null ? a : storedAs(a, how.left);
  const right = how.right === null ? b : storedAs(b, how.right);
  const order = compareValues(left, right, how.collation);
  switch (operator) {
    case '=':
    case 'IS':
      return fromTruth(order === 0);
    case '!=':
    case 'IS NOT':
      return fromTruth(order !== 0);
    case '<':
      return fromTruth(order < 0);
    case '<=':
      return fromTruth(order <= 0);
    case '>':
      return fromTruth(order > 0);
    case '>=':
      return fromTruth(order >= 0);
  }
}
