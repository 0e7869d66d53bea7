import type { SqlValue } from '../../../base/sql-value.ts';
import { textToNumber } from '../../schema/affinity.ts';
import type { Expression, Literal } from '../ast.ts';

/** A value that is known before the statement runs: a literal, or the argument of a parameter (from 1). */
export type Constant =
  | { readonly kind: 'literal'; readonly value: SqlValue }
  | { readonly kind: 'parameter'; readonly index: number };

/** The constant that an expression plainly is (a literal with or without sign, a parameter), or null. */
export function constantOf(expression: Expression): Constant | null {
  if (expression.kind === 'parameter') return { kind: 'parameter', index: expression.index };
  if (expression.kind === 'literal') return { kind: 'literal', value: literalValue(expression) };
  if (expression.kind !== 'unary' || expression.operand.kind !== 'literal') return null;
  if (expression.operator === '-') return negated(expression.operand);
  return null;
}

function negated(literal: Literal): Constant | null {
  // The only way to write the least integer: its digits alone are too large for one.
  if (literal.type === 'integer' && literal.value === '9223372036854775808') {
    return { kind: 'literal', value: -(2n ** 63n) };
  }
  const value = literalValue(literal);
  if (typeof value === 'bigint') {
    return value === -(2n ** 63n) ? { kind: 'literal', value: 2 ** 63 } : { kind: 'literal', value: -value };
  }
  return typeof value === 'number' ? { kind: 'literal', value: -value } : null;
}

/** https://www.sqlite.org/lang_expr.html#literal_values_constants_ */
export function literalValue(literal: Literal): SqlValue {
  switch (literal.type) {
    case 'null':
      return null;
    case 'text':
      return literal.value;
    case 'blob':
      return Uint8Array.from({ length: literal.value.length / 2 }, (_, i) =>
        Number.parseInt(literal.value.slice(2 * i, 2 * i + 2), 16),
      );
    case 'real':
      return Number(textToNumber(literal.value));
    case 'integer':
      if (/^0x/i.test(literal.value)) return BigInt.asIntN(64, BigInt(literal.value));
      return textToNumber(literal.value) as SqlValue & (bigint | number);
  }
}

/** Equal for constants that are surely the same value. */
export function constantKey(constant: Constant): string {
  if (constant.kind === 'parameter') return `?${constant.index}`;
  const { value } = constant;
  if (value === null) return 'null';
  if (typeof value === 'bigint') return `i${value}`;
  if (typeof value === 'number') return `r${Object.is(value, -0) ? '-0' : value}`;
  if (typeof value === 'string') return `t${value}`;
  const bytes = value instanceof Uint8Array ? value : value.bytes;
  return `${value instanceof Uint8Array ? 'b' : 'x'}${bytes.join(',')}`;
}
