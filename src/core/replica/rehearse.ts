import type { SqlitePort } from '../sqlite/port.ts';

/** Thrown to undo what was only tried. One for all: most of an error's cost is its stack. */
const UNDO = new Error('undone: it was only tried');

/** Runs `body` in a transaction that is undone, and gives its result; an error of `body` goes on. */
export function rehearse<T>(port: SqlitePort, body: () => T): T {
  let done: { readonly result: T } | null = null;
  try {
    port.transaction(() => {
      done = { result: body() };
      throw UNDO;
    });
  } catch (error) {
    if (error !== UNDO) throw error;
  }
  return (done as unknown as { readonly result: T }).result;
}
