import { Gossip, type GossipSend } from '../../../src/core/network/gossip.ts';
import { documentOf } from '../../../src/core/network/gossip-message.ts';
import { Random } from '../../harness/random.ts';

export interface GossipSimulation {
  readonly hosts: number;
  readonly seed: number;
  /** Probability that a message is lost. */
  readonly loss?: number;
  /** Share of hosts that answer nothing during the first 20 rounds. */
  readonly away?: number;
}

export interface GossipFigures {
  /** Ticks of every host until all have the new version. */
  readonly rounds: number;
  /** Until nobody tells it any more. */
  readonly roundsToSilence: number;
  readonly messages: number;
  /** Copies of the body that were sent; the least is one for each other host. */
  readonly bodies: number;
  /** Hosts that had it when it fell silent, if no anti-entropy had helped from then on. */
  readonly reachedAtSilence: number;
}

const AWAY_ROUNDS = 20;
const ROUNDS_MAX = 10_000;

/**
 * Hosts of one thread that all know version 1; one learns of version 2. In a round all tick on what they knew
 * before it, then their messages and the answers to them arrive, in an order by the seed.
 */
export function simulateGossip({ hosts, seed, loss = 0, away = 0 }: GossipSimulation): GossipFigures {
  const random = new Random(seed);
  const chance = () => random.next();
  const old = documentOf(1, 'old');
  const names = Array.from({ length: hosts }, (_, i) => `host-${i}`);
  const nodes = new Map(
    names.map((host) => [host, new Gossip({ host, document: old, check: () => null })] as const),
  );
  const absent = new Set(names.slice(1).filter(() => random.chance(away)));
  nodes.get('host-0')?.changed(documentOf(2, 'new'));
  let reached = 1;
  let [rounds, roundsToSilence, reachedAtSilence, messages, bodies] = [0, 0, 0, 0, 0];
  for (let round = 1; reached < hosts || roundsToSilence === 0; round++) {
    if (round > ROUNDS_MAX)
      throw new Error(`seed ${seed}: ${reached} of ${hosts} after ${ROUNDS_MAX} rounds`);
    if (round === AWAY_ROUNDS) absent.clear();
    const queue: { from: string; send: GossipSend }[] = [];
    for (const [from, node] of nodes) {
      if (!absent.has(from)) queue.push(...node.tick(names, chance).map((send) => ({ from, send })));
    }
    shuffle(queue, random);
    for (const { from, send } of queue) {
      messages++;
      if (send.message.kind === 'document') bodies++;
      if (absent.has(send.to) || random.chance(loss)) continue;
      const receipt = nodes.get(send.to)?.receive(from, send.message);
      if (receipt?.event?.kind === 'taken') reached++;
      queue.push(...(receipt?.send ?? []).map((next) => ({ from: send.to, send: next })));
    }
    if (reached === hosts && rounds === 0) rounds = round;
    if (roundsToSilence === 0 && [...nodes.values()].every(({ decay }) => decay === 0)) {
      [roundsToSilence, reachedAtSilence] = [round, reached];
    }
  }
  return { rounds, roundsToSilence, messages, bodies, reachedAtSilence };
}

function shuffle<T>(items: T[], random: Random): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
}
