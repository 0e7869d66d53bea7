/** Resolves when the time is over, or `earlier` settles. */
export async function pause(milliseconds: number, earlier: Promise<unknown>): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, milliseconds);
  await Promise.race([over.promise, earlier]).finally(() => clearTimeout(timer));
}
