import { columnOf } from '../../sql/analysis/facts.ts';
import { nodeOf, type Scope } from '../../sql/analysis/model.ts';
import { resolveColumn } from '../../sql/analysis/resolve.ts';
import type { Expression, Node } from '../../sql/ast.ts';

/**
 * A string that two expressions of one scope share only if they are the same: columns by what they mean, not by
 * how they are written; everything else by its structure.
 */
export function fingerprint(expression: Expression, scope: Scope): string {
  return JSON.stringify(expression, (key, value: unknown) => {
    if (key === 'start' || key === 'end' || key === 'quote') return undefined;
    // Names inside a subquery have scopes of their own: it is compared as written.
    if (isKind(value, 'select')) return JSON.stringify(value, withoutSpans);
    if (!isKind(value, 'column')) return value;
    const plain = columnOf(value, scope);
    if (plain !== null) return `column ${nodeOf(plain.source, plain.name)}`;
    const resolved = resolveColumn(value, scope);
    if (resolved.kind === 'text' || resolved.kind === 'truth') return `${resolved.kind} ${resolved.value}`;
    if (resolved.kind === 'alias') return resolved.expression;
    return value;
  });
}

function withoutSpans(key: string, value: unknown): unknown {
  return key === 'start' || key === 'end' ? undefined : value;
}

function isKind<K extends Node['kind']>(value: unknown, kind: K): value is Node & { kind: K } {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === kind;
}
