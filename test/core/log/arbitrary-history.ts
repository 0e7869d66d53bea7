import fc from 'fast-check';
import { createTable, shape } from './arbitrary-schema.ts';
import { statement } from './arbitrary-statement.ts';
import { AUDIT, createView, trigger } from './arbitrary-trigger.ts';

/** A random schema and what happens to it, as SQL. */
export interface History {
  /** Names in the order of their ids, from 1. */
  readonly tables: readonly { readonly name: string; readonly sql: string }[];
  /** Views and their triggers. */
  readonly views: readonly string[];
  readonly triggers: readonly { readonly table: number; readonly sql: string }[];
  /** Each commit's statements; any may fail. */
  readonly commits: readonly (readonly string[])[];
  /** How many commits to undo after each one, and to redo. */
  readonly undo: readonly number[];
}

export const arbitraryHistory: fc.Arbitrary<History> = fc
  .integer({ min: 1, max: 4 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => shape(index, count))))
  .chain((shapes) =>
    fc.record({
      shapes: fc.constant(shapes),
      triggers: fc
        .integer({ min: 0, max: 3 })
        .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => trigger(shapes, index)))),
      commits: fc.array(fc.array(statement(shapes), { minLength: 1, maxLength: 4 }), {
        minLength: 4,
        maxLength: 14,
      }),
      undo: fc.array(fc.constantFrom(0, 0, 1, 3), { minLength: 14, maxLength: 14 }),
    }),
  )
  .map(({ shapes, triggers, commits, undo }) => ({
    tables: [
      ...shapes.map((each) => ({ name: each.name, sql: createTable(shapes, each) })),
      { name: AUDIT, sql: `CREATE TABLE ${AUDIT}(what, v)` },
    ],
    views: shapes.flatMap(createView),
    triggers,
    commits,
    undo,
  }));
