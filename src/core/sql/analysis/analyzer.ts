import { asciiLower } from '../../../base/ascii.ts';
import type { Schema } from '../../schema/catalogue.ts';
import type { Affinity, Table } from '../../schema/table.ts';
import type {
  ColumnReference,
  Expression,
  FunctionCall,
  Node,
  Select,
  SelectCore,
  TableFunction,
  TableName,
  TableSource,
  Values,
  With,
} from '../ast.ts';
import { anchorOfCore } from './anchor.ts';
import { anchorOfCompound } from './compound.ts';
import { expressionsOf } from './core-expressions.ts';
import { asRecursive, innerNodes, uniqueName } from './derived.ts';
import type { Environment, VisibleTable } from './environment.ts';
import { addFacts } from './facts.ts';
import { addJoinFacts, readFrom } from './from.ts';
import { isAggregate, isPureTableFunction, JSON_TABLE_COLUMNS, readsClock, volatility } from './functions.ts';
import { ReachGraph } from './graph.ts';
import { keyClassesOf } from './key-class.ts';
import {
  type CoreModel,
  nodeOf,
  type PartitionedUse,
  type Resolved,
  type Scope,
  type SelectModel,
  type Source,
  type SourceColumn,
  withoutAliases,
} from './model.ts';
import { isOuterAggregate } from './outer-aggregate.ts';
import { aliasesOf, outputsOf } from './outputs.ts';
import { refuse } from './refusal.ts';
import { ROWID_NAMES, resolveColumn } from './resolve.ts';
import { isSystemTable } from './system-tables.ts';
import { type ClassContext, classOf, type ExpressionClass } from './value-class.ts';
import { viewSelect } from './view.ts';
import { childrenOf } from './walk.ts';

/** Chosen: far beyond any statement; bounds the expansion of tables and views that use each other. */
const MAX_SOURCES = 400;

/** What is found on the way through the expressions of one SELECT. */
interface Findings {
  readonly aggregates: FunctionCall[];
  readonly windows: FunctionCall[];
}

/**
 * Reads a statement's selects into models: what each name means, and which values restrict which tables. Common table
 * expressions and views are read anew at each use, so that each use has its own restrictions.
 */
export class Analyzer {
  readonly schema: Schema;
  readonly text: string;
  readonly graph = new ReachGraph();
  readonly uses: PartitionedUse[] = [];
  readonly referenceTables = new Set<string>();
  readonly systemTables = new Set<string>();
  /** random() and its kin; the depth of selects around each. */
  readonly randomDepths: number[] = [];
  readonly connectionCalls: string[] = [];
  /** Reads of the clock in the statement's own text, and whether a view has one. */
  readonly clockReads: Node[] = [];
  clockInView = false;
  /** An aggregate in a subquery that is over the outer query's rows. */
  strayAggregate = false;
  #sources = 0;
  #depth = 0;
  #views = 0;

  constructor(schema: Schema, text: string) {
    this.schema = schema;
    this.text = text;
  }

  select(select: Select, parent: Scope | null, outer: Environment | null): SelectModel {
    const environment = select.with === null ? outer : this.environment(select.with, parent, outer);
    this.#depth++;
    const terms = [select.body, ...select.compounds.map((term) => term.body)];
    const first = this.uses.length;
    const cores: CoreModel[] = [];
    for (const body of terms) {
      cores.push(this.#core(body, parent, environment, terms.length === 1 ? select : null));
      if (cores.length === 1) this.#showRecursion(select, environment, cores[0] as CoreModel);
    }
    if (select.limit !== null) {
      const scope: Scope = { sources: [], parent: null, aliases: new Map(), coalesced: new Set() };
      this.expression(select.limit.count, scope, environment, newFindings());
      if (select.limit.offset !== null) {
        this.expression(select.limit.offset, scope, environment, newFindings());
      }
    }
    this.#depth--;
    const [core] = cores as [CoreModel];
    return {
      ast: select,
      cores,
      outputs: core.outputs,
      orderBy: select.orderBy ?? [],
      recursive: false,
      uses: this.uses.slice(first),
      anchor:
        select.limit !== null
          ? { kind: 'none', why: 'a LIMIT is over all rows' }
          : cores.length === 1
            ? core.anchor
            : anchorOfCompound(select, cores, this.graph),
    };
  }

  environment(clause: With, scope: Scope | null, outer: Environment | null): Environment {
    const environment: Environment = { tables: new Map(), outer };
    for (const definition of clause.tables) {
      const entry: VisibleTable = { definition, environment, scope, active: null };
      environment.tables.set(asciiLower(definition.name.name), entry);
    }
    return environment;
  }

  #core(
    ast: SelectCore | Values,
    parent: Scope | null,
    environment: Environment | null,
    whole: Select | null,
  ): CoreModel {
    const first = this.uses.length;
    const findings = newFindings();
    const from = ast.kind === 'values' ? null : ast.from;
    const read = readFrom(from, (table) => this.source(table, parent, environment));
    const scope: Scope = {
      sources: read.sources,
      parent,
      aliases: ast.kind === 'values' ? new Map() : aliasesOf(ast),
      coalesced: read.coalesced,
    };
    if (ast.kind === 'select-core') {
      addJoinFacts(read, scope, this.graph);
      if (ast.where !== null) this.where(ast.where, scope);
    }
    this.#visitCore(ast, scope, environment, findings);
    const terms = whole?.orderBy ?? [];
    for (const term of terms) this.expression(term.expression, scope, environment, findings);
    const outputs = outputsOf(ast, scope, this.text, (expression) => this.classOf(expression, scope));
    const uses = this.uses.slice(first);
    const question = { ast, scope, outputs, ...findings, uses, graph: this.graph };
    return { ast, scope, outputs, ...findings, uses, anchor: anchorOfCore(question) };
  }

  /** The facts of a WHERE, which restricts all sources of its scope. */
  where(where: Expression, scope: Scope): void {
    const nullable = new Set(scope.sources.filter((source) => source.nullable));
    addFacts(where, { scope, restricts: new Set(scope.sources), given: new Set(), nullable }, this.graph);
  }

  #visitCore(
    ast: SelectCore | Values,
    scope: Scope,
    environment: Environment | null,
    findings: Findings,
  ): void {
    const { plain, aliased } = expressionsOf(ast);
    for (const node of plain) this.expression(node, withoutAliases(scope), environment, findings);
    for (const node of aliased) this.expression(node, scope, environment, findings);
  }

  /** Everything in an expression (or a window): names must exist, subqueries are read, functions noted. */
  expression(node: Node, scope: Scope, environment: Environment | null, findings: Findings): void {
    switch (node.kind) {
      case 'column':
        resolveColumn(node, scope);
        return;
      case 'select':
        this.select(node, scope, environment);
        return;
      case 'table':
      case 'table-function':
        // `x IN table`
        this.source(node, scope, environment);
        return;
      case 'function':
        this.#call(node, scope, findings);
        break;
      case 'current-time':
        this.#clock(node);
        return;
      case 'raise':
        if (node.message !== null) this.expression(node.message, scope, environment, findings);
        return;
      default:
    }
    for (const child of childrenOf(node)) this.expression(child, scope, environment, findings);
  }

  #call(call: FunctionCall, scope: Scope, findings: Findings): void {
    const kind = volatility(call.function);
    if (kind === 'random') this.randomDepths.push(this.#depth);
    if (kind === 'connection') this.connectionCalls.push(call.function);
    if (readsClock(call)) this.#clock(call);
    if (call.over !== null) findings.windows.push(call);
    else if (isAggregate(call)) {
      findings.aggregates.push(call);
      if (scope.parent !== null && isOuterAggregate(call, scope)) this.strayAggregate = true;
    }
  }

  #clock(node: Node): void {
    if (this.#views > 0) this.clockInView = true;
    else this.clockReads.push(node);
  }

  /** The source that a table of FROM is; also the target of a write. */
  source(table: TableSource, parent: Scope | null, environment: Environment | null): Source {
    if (this.#sources > MAX_SOURCES)
      refuse('unsupported', 'too many tables: views and WITH tables expand to more than 400');
    switch (table.kind) {
      case 'table-subquery': {
        const select = this.select(table.select, parent, environment);
        return this.#derived(table.alias?.name ?? null, select, null);
      }
      case 'table-function':
        return this.#tableFunction(table);
      case 'nested-join':
        return refuse('unsupported', 'a join in parentheses here');
      case 'table':
        return this.#named(table, environment);
    }
  }

  #named(table: TableName, environment: Environment | null): Source {
    const alias = table.alias?.name ?? table.name.name;
    if (table.schema === null) {
      for (let at = environment; at !== null; at = at.outer) {
        const entry = at.tables.get(asciiLower(table.name.name));
        if (entry !== undefined) return this.#common(entry, alias);
      }
    } else if (asciiLower(table.schema.name) !== 'main') {
      refuse('no-such-table', `no such table: ${table.schema.name}.${table.name.name}`);
    }
    const found = this.schema.table(table.name.name);
    if (found !== undefined) return this.base(found, alias);
    const view = this.schema.view(table.name.name);
    if (view !== undefined) {
      this.#depth++;
      this.#views++;
      const model = this.select(viewSelect(view), null, null);
      this.#views--;
      this.#depth--;
      return this.#derived(alias, model, view.columns);
    }
    if (isSystemTable(table.name.name)) return this.#system(table.name.name, alias);
    return refuse('no-such-table', `no such table: ${table.name.name}`);
  }

  #system(name: string, alias: string): Source {
    this.systemTables.add(asciiLower(name));
    return this.#newSource(alias, [], null, null);
  }

  /** A table of the schema, for its names only: none of its rows are read. */
  unread(table: Table, alias: string): Source {
    const columns = table.columns.map(({ name, affinity, collation }) => ({ name, affinity, collation }));
    return this.#newSource(alias, columns, table, null);
  }

  /** `excluded`, `new`, `old`: rows that only qualified names mean. */
  pseudo(table: Table, alias: 'excluded' | 'new' | 'old'): Source {
    const source = this.unread(table, alias);
    for (const { name } of source.columns) source.merged.add(asciiLower(name));
    for (const name of ROWID_NAMES) source.merged.add(name);
    return source;
  }

  /** A use of a table of the schema. */
  base(table: Table, alias: string): Source {
    const source = this.unread(table, alias);
    if (table.placement.kind === 'reference') {
      this.referenceTables.add(table.name);
      return source;
    }
    const key = table.placement.key;
    this.uses.push({
      source,
      table,
      key: key.map((name) => nodeOf(source, name)),
      classes: keyClassesOf(table),
    });
    return source;
  }

  #common(entry: VisibleTable, alias: string): Source {
    const { definition } = entry;
    if (entry.active !== null) {
      if (entry.active.columns === null) {
        refuse('syntax', `circular reference: ${definition.name.name}`);
      }
      entry.active.recursive = true;
      return this.#newSource(alias, entry.active.columns, null, null);
    }
    entry.active = { columns: null, recursive: false };
    const model = this.select(definition.select, entry.scope, entry.environment);
    const { recursive } = entry.active;
    entry.active = null;
    const names = definition.columns?.map((identifier) => identifier.name) ?? null;
    return this.#derived(alias, recursive ? asRecursive(model) : model, names);
  }

  /** Makes the first arm's columns known to the recursive arms of the common table that is being read. */
  #showRecursion(select: Select, environment: Environment | null, core: CoreModel): void {
    for (let at = environment; at !== null; at = at.outer) {
      for (const entry of at.tables.values()) {
        if (entry.definition.select !== select || entry.active === null) continue;
        const names = entry.definition.columns;
        entry.active.columns = core.outputs.map((output, i) => ({
          name: names?.[i]?.name ?? output.name,
          affinity: output.affinity,
          collation: output.collation ?? 'BINARY',
        }));
      }
    }
  }

  /** A select used as a table; restrictions pass through its plain columns. */
  #derived(alias: string | null, select: SelectModel, names: readonly string[] | null): Source {
    const taken = new Set<string>();
    const columns = select.outputs.map((output, i) => ({
      name: names?.[i] ?? uniqueName(output.name, taken),
      affinity: output.affinity,
      collation: output.collation ?? 'BINARY',
    }));
    const source = this.#newSource(alias, columns, null, select);
    if (select.recursive) return source;
    columns.forEach(({ name }, i) => {
      const own = nodeOf(source, name);
      for (const node of innerNodes(select, i, this.graph)) this.graph.edge(own, node);
      const output = select.outputs[i];
      const single = select.cores.length === 1;
      if (single && output !== undefined && output.node !== null && !output.nullable) {
        this.graph.edge(output.node, own);
      }
    });
    return source;
  }

  #tableFunction(call: TableFunction): Source {
    const name = asciiLower(call.name.name);
    if (!isPureTableFunction(name)) {
      refuse(
        'unsupported',
        `the table-valued function ${call.name.name}: only json_each and json_tree are planned`,
      );
    }
    const columns = JSON_TABLE_COLUMNS.map((column) => ({
      name: column,
      affinity: null,
      collation: 'BINARY' as const,
    }));
    return this.#newSource(call.alias?.name ?? call.name.name, columns, null, null);
  }

  #newSource(
    alias: string | null,
    columns: readonly SourceColumn[],
    table: Table | null,
    select: SelectModel | null,
  ): Source {
    const name = alias === null ? null : asciiLower(alias);
    return { id: ++this.#sources, name, columns, table, select, merged: new Set(), nullable: false };
  }

  classOf(expression: Expression, scope: Scope): ExpressionClass {
    return classOf(expression, this.#classContext(scope));
  }

  #classContext(scope: Scope): ClassContext {
    return {
      resolve: (reference: ColumnReference): Resolved => resolveColumn(reference, scope),
      withoutAliases: () => this.#classContext(withoutAliases(scope)),
      selectAffinity: (): Affinity | null => null,
    };
  }
}

export function newFindings(): Findings {
  return { aggregates: [], windows: [] };
}
