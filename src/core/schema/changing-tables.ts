import { asciiLower } from '../../base/ascii.ts';
import { present } from '../../base/assert.ts';
import type { TableId } from '../../base/brand.ts';
import type { AtollClause } from '../sql/ast.ts';
import type { Catalogue } from './catalogue.ts';
import { renamed } from './name-list.ts';
import type { DeclaredPlacement } from './placement.ts';
import type { Placement } from './table.ts';

/** Which tables there are, and where their rows live, as the statements run so far have left them. */
export class ChangingTables {
  /** By lower-case name. */
  readonly #ids = new Map<string, TableId>();
  readonly #placements = new Map<TableId, Placement>();
  /** Of tables whose placement is resolved at the end, when all of their parents are there. */
  readonly #declared = new Map<TableId, DeclaredPlacement>();
  #nextId: number;

  constructor({ tables, nextTableId }: Catalogue) {
    this.#nextId = nextTableId;
    for (const { name, id, placement } of tables) {
      this.#ids.set(asciiLower(name), id);
      this.#placements.set(id, placement);
    }
  }

  /** Of the next table, hidden ones too; {@link takeId} gives it away. */
  get nextId(): TableId {
    return this.#nextId as TableId;
  }

  takeId(): TableId {
    return this.#nextId++ as TableId;
  }

  id(name: string): TableId | undefined {
    return this.#ids.get(asciiLower(name));
  }

  isThere(id: TableId): boolean {
    return this.nameOf(id) !== undefined;
  }

  /** In lower case; undefined: it was dropped. */
  nameOf(id: TableId): string | undefined {
    return [...this.#ids].find(([, each]) => each === id)?.[0];
  }

  add(name: string): TableId {
    const id = this.takeId();
    this.#ids.set(asciiLower(name), id);
    return id;
  }

  rename(from: string, to: string): void {
    const id = present(this.id(from), () => `${from} is there`);
    this.#ids.delete(asciiLower(from));
    this.#ids.set(asciiLower(to), id);
  }

  drop(name: string): void {
    this.#ids.delete(asciiLower(name));
  }

  /** `id`, whose own table is gone, is from now on what was `heir`: where its rows live too, unless the heir says something else. */
  takeOver(id: TableId, heir: TableId): void {
    this.#ids.set(
      present(this.nameOf(heir), () => `${heir} is there`),
      id,
    );
    const declared = this.#declared.get(heir);
    if (declared === undefined) return;
    this.#declared.set(id, declared);
    this.#placements.delete(id);
  }

  declare(id: TableId, clause: Exclude<AtollClause, { readonly kind: 'append-only' }>): void {
    this.#placements.delete(id);
    this.#declared.set(
      id,
      clause.kind === 'reference'
        ? { kind: 'reference' }
        : { kind: 'partition-by', columns: clause.columns.map((column) => column.name) },
    );
  }

  placementOf(id: TableId): Placement | undefined {
    return this.#placements.get(id);
  }

  declaredOf(id: TableId): DeclaredPlacement | undefined {
    return this.#declared.get(id);
  }

  /** Columns of the partition key, as far as they are known yet. */
  keyOf(id: TableId): readonly string[] {
    const placement = this.#placements.get(id);
    if (placement?.kind === 'partitioned') return placement.key;
    const declared = this.#declared.get(id);
    return declared?.kind === 'partition-by' ? declared.columns : [];
  }

  renameColumn(id: TableId, from: string, to: string): void {
    const placement = this.#placements.get(id);
    if (placement?.kind === 'partitioned')
      this.#placements.set(id, { kind: 'partitioned', key: renamed(placement.key, from, to) });
    const declared = this.#declared.get(id);
    if (declared?.kind === 'partition-by')
      this.#declared.set(id, { kind: 'partition-by', columns: renamed(declared.columns, from, to) });
  }
}
