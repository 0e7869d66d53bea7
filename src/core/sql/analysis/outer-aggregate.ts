import type { FunctionCall, Node } from '../ast.ts';
import type { Scope } from './model.ts';
import { resolveColumn } from './resolve.ts';
import { childrenOf } from './walk.ts';

/** SQLite gives an aggregate to the query whose columns it names: https://www.sqlite.org/lang_aggfunc.html */
export function isOuterAggregate(call: FunctionCall, scope: Scope): boolean {
  let columns = 0;
  let own = 0;
  const visit = (node: Node): void => {
    if (node.kind === 'column') {
      const resolved = resolveColumn(node, scope);
      if ('depth' in resolved) {
        columns++;
        if (resolved.depth === 0) own++;
      }
    }
    for (const child of node.kind === 'select' ? [] : childrenOf(node)) visit(child);
  };
  for (const argument of call.arguments) visit(argument);
  return columns > 0 && own === 0;
}
