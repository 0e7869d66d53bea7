/** A defect in Atoll itself: never caught to continue, only to report and stop. */
export class AssertionError extends Error {
  override name = 'AssertionError';
}

/** Stops on a defect. `message` may be a function so that hot paths build no string. */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === 'string' ? message : message());
}

/** Marks a branch that the type checker has proved unreachable. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}

/** The value, which must be there: for lookups whose success is an invariant. */
export function present<T>(value: T | null | undefined, message: string | (() => string)): T {
  assert(value !== null && value !== undefined, message);
  return value;
}
