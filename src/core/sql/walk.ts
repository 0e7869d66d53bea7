import type { Kind, Node, NodeOf } from './ast.ts';

/** The fields of a node that hold nodes. */
type ChildField<N> = {
  [F in keyof N]-?: [NonNullable<N[F]>] extends [never]
    ? never
    : NonNullable<N[F]> extends Node | readonly Node[]
      ? F
      : never;
}[keyof N];

/** Every kind with every field that holds nodes: leaving one out, or naming another, does not compile. */
type ChildTable = { readonly [K in Kind]: { readonly [F in ChildField<NodeOf<K>>]: 1 } };

/** Fields in source order; that order is the order of walking. (`LIMIT m, n` alone can be the other way round.) */
const TABLE: ChildTable = {
  identifier: {},
  'qualified-name': { schema: 1, name: 1 },
  'type-name': {},
  literal: {},
  'current-time': {},
  parameter: {},
  column: { schema: 1, table: 1, name: 1 },
  unary: { operand: 1 },
  binary: { left: 1, right: 1 },
  like: { operand: 1, pattern: 1, escape: 1 },
  'null-test': { operand: 1 },
  between: { operand: 1, low: 1, high: 1 },
  'in-list': { items: 1 },
  in: { operand: 1, source: 1 },
  exists: { select: 1 },
  subquery: { select: 1 },
  row: { items: 1 },
  function: { name: 1, arguments: 1, orderBy: 1, filter: 1, over: 1 },
  cast: { operand: 1, type: 1 },
  collate: { operand: 1, collation: 1 },
  'case-branch': { when: 1, result: 1 },
  case: { operand: 1, branches: 1, otherwise: 1 },
  raise: { message: 1 },
  window: { base: 1, partitionBy: 1, orderBy: 1, frame: 1 },
  'named-window': { name: 1, definition: 1 },
  frame: { from: 1, to: 1 },
  'frame-bound': { offset: 1 },
  select: { with: 1, body: 1, compounds: 1, orderBy: 1, limit: 1, asOf: 1 },
  'as-of': { moment: 1 },
  compound: { body: 1 },
  'select-core': { columns: 1, from: 1, where: 1, groupBy: 1, having: 1, windows: 1 },
  values: { rows: 1 },
  'values-row': { items: 1 },
  'result-star': { table: 1 },
  'result-expression': { expression: 1, alias: 1 },
  'ordering-term': { expression: 1 },
  limit: { count: 1, offset: 1 },
  with: { tables: 1 },
  'common-table': { name: 1, columns: 1, select: 1 },
  from: { first: 1, joins: 1 },
  join: { table: 1, on: 1, using: 1 },
  table: { schema: 1, name: 1, alias: 1, indexedBy: 1 },
  'table-function': { schema: 1, name: 1, arguments: 1, alias: 1 },
  'table-subquery': { select: 1, alias: 1 },
  'nested-join': { from: 1, alias: 1 },
  insert: { with: 1, table: 1, columns: 1, source: 1, upserts: 1, returning: 1 },
  upsert: { target: 1, targetWhere: 1, set: 1, where: 1 },
  assignment: { columns: 1, value: 1 },
  returning: { columns: 1 },
  update: { with: 1, table: 1, set: 1, from: 1, where: 1, returning: 1, orderBy: 1, limit: 1 },
  delete: { with: 1, table: 1, where: 1, returning: 1, orderBy: 1, limit: 1 },
  'create-table': { name: 1, columns: 1, constraints: 1, options: 1, clauses: 1, select: 1 },
  'table-option': {},
  'partition-by': { columns: 1 },
  reference: {},
  'append-only': {},
  'column-definition': { name: 1, type: 1, constraints: 1 },
  'primary-key-column': { name: 1 },
  'not-null': { name: 1 },
  'unique-column': { name: 1 },
  check: { name: 1, expression: 1 },
  default: { name: 1, expression: 1 },
  'collate-column': { name: 1, collation: 1 },
  generated: { name: 1, expression: 1 },
  'references-column': { name: 1, references: 1 },
  references: { table: 1, columns: 1, deferrable: 1 },
  deferrable: {},
  'deferrable-column': { name: 1, deferrable: 1 },
  'empty-constraint': { name: 1 },
  'primary-key-table': { name: 1, columns: 1 },
  'unique-table': { name: 1, columns: 1 },
  'foreign-key-table': { name: 1, columns: 1, references: 1 },
  'create-index': { name: 1, table: 1, columns: 1, where: 1 },
  'create-view': { name: 1, columns: 1, select: 1 },
  'create-trigger': { name: 1, columns: 1, table: 1, when: 1, body: 1 },
  'create-virtual-table': { name: 1, module: 1, arguments: 1 },
  'module-argument': {},
  'alter-table': { table: 1, action: 1 },
  'rename-table': { to: 1 },
  'rename-column': { from: 1, to: 1 },
  'add-column': { column: 1 },
  'drop-column': { name: 1 },
  'add-check': { check: 1 },
  'drop-constraint': { name: 1 },
  'set-not-null': { column: 1 },
  'drop-not-null': { column: 1 },
  drop: { name: 1 },
  pragma: { name: 1, value: 1 },
  'pragma-value': {},
  analyze: { name: 1 },
  reindex: { name: 1 },
  vacuum: { schema: 1, into: 1 },
  attach: { file: 1, schema: 1, key: 1 },
  detach: { schema: 1 },
  explain: { statement: 1 },
  begin: {},
  commit: {},
  rollback: { savepoint: 1 },
  savepoint: { name: 1 },
  release: { name: 1 },
};

const FIELDS = new Map(Object.entries(TABLE).map(([kind, fields]) => [kind, Object.keys(fields)]));

/** Every kind of node, in no particular order. */
export const KINDS = Object.keys(TABLE) as readonly Kind[];

/** Calls `visit` with each child of `node`, in source order. */
export function forEachChild(node: Node, visit: (child: Node) => void): void {
  if (node.kind === 'limit' && node.offset !== null && node.offset.start < node.count.start) {
    visit(node.offset);
    visit(node.count);
    return;
  }
  const fields = FIELDS.get(node.kind) as readonly string[];
  for (const field of fields) {
    const child = (node as unknown as Record<string, Node | readonly Node[] | null>)[field];
    if (child === null || child === undefined) continue;
    if (Array.isArray(child)) for (const item of child as readonly Node[]) visit(item);
    else visit(child as Node);
  }
}

/** The children of `node`, in source order. */
export function childrenOf(node: Node): Node[] {
  const children: Node[] = [];
  forEachChild(node, (child) => {
    children.push(child);
  });
  return children;
}

/** What `walk` calls. Returning `'skip'` from `enter` leaves the node's children out; `leave` is called nevertheless. */
export interface Visitor {
  readonly enter?: (node: Node, parent: Node | null) => 'skip' | undefined;
  readonly leave?: (node: Node, parent: Node | null) => void;
}

/** Visits `node` and everything below it, in source order. Depth is bounded by what the parser lets through. */
export function walk(node: Node, visitor: Visitor, parent: Node | null = null): void {
  if (visitor.enter?.(node, parent) !== 'skip') {
    forEachChild(node, (child) => {
      walk(child, visitor, node);
    });
  }
  visitor.leave?.(node, parent);
}

/** Every node of one kind at or below `node`, in source order. */
export function findAll<K extends Kind>(node: Node, kind: K): NodeOf<K>[] {
  const found: NodeOf<K>[] = [];
  walk(node, {
    enter: (current) => {
      if (current.kind === kind) found.push(current as NodeOf<K>);
    },
  });
  return found;
}
