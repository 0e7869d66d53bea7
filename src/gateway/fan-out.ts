/**
 * Runs `task` for every item, at most `parallelMax` at a time, and gives the results in the items' order.
 * The first failure aborts the others through the signal and is what the returned promise rejects with.
 */
export async function fanOut<Item, Result>(
  items: readonly Item[],
  parallelMax: number,
  task: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const cancel = new AbortController();
  const results = new Array<Result>(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && !cancel.signal.aborted) {
      const index = next++;
      results[index] = await task(items[index] as Item, cancel.signal);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(parallelMax, items.length) }, lane));
  } catch (error) {
    cancel.abort(error);
    throw error;
  }
  return results;
}
