import type { VoteRequest } from '../protocol/hosts.ts';

/** What a newcomer that gives an address may take to answer there, ms (chosen: voting takes a few seconds at most). */
const REACH_MS = 2_000;

/**
 * The edge's vote. That the newcomer has its key and the secret, the link has shown; here: enough space, and somebody at
 * the address that it gives, if it gives one.
 */
export async function edgeVote(request: VoteRequest): Promise<{ accept: boolean; reason: string }> {
  const { freeBytes, neededBytes, addresses } = request;
  if (freeBytes < neededBytes) {
    return { accept: false, reason: `it has ${freeBytes} bytes free and needs ${neededBytes}` };
  }
  for (const address of addresses) {
    const problem = await reach(address);
    if (problem !== null) return { accept: false, reason: `${address} cannot be reached: ${problem}` };
  }
  return {
    accept: true,
    reason: addresses.length === 0 ? 'reached over its link' : 'reached at its address',
  };
}

async function reach(address: string): Promise<string | null> {
  try {
    const answer = await fetch(`${address}/healthz`, { signal: AbortSignal.timeout(REACH_MS) });
    await answer.body?.cancel();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
