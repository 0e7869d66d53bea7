import type { SqlitePort } from '../sqlite/port.ts';

/** Thrown to undo what was only tried. */
class Undo extends Error {}

/** Runs `body` in a transaction that is undone, and gives its result; an error of `body` goes on. */
export function rehearse<T>(port: SqlitePort, body: () => T): T {
  let done: { readonly result: T } | null = null;
  try {
    port.transaction(() => {
      done = { result: body() };
      throw new Undo();
    });
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
  }
  return (done as unknown as { readonly result: T }).result;
}
