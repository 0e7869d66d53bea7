import { EDGE } from '../../src/core/network/votes.ts';
import type { SqlitePort } from '../../src/core/sqlite/port.ts';
import type { SimulatedAgent } from './agent.ts';
import { checkSameLog, type Digests } from './digests.ts';
import type { EdgeRegistry } from './edge-registry.ts';
import type { EdgeShipping } from './edge-shipping.ts';

/** Why agents have not come to rest yet, at this version of the network information; empty if they have. */
export function restless(
  agents: readonly SimulatedAgent[],
  registry: EdgeRegistry,
  shipping: readonly EdgeShipping[],
  version: number,
): string {
  for (const agent of agents) {
    const { host } = agent;
    if (agent.status !== 'read') return `${host} is ${agent.status}: ${standing(agent)}`;
    if (registry.statusOf(host) !== 'read') return `${host} is ${registry.statusOf(host)} in the tables`;
    const wanted = registry.partitionsOf(host);
    const held = [...agent.copies.keys()].sort((a, b) => a - b);
    if (wanted.join() !== held.join()) return `${host} holds ${held} and shall hold ${wanted}`;
    for (const [partition, copy] of agent.copies) {
      const last = shipping[partition]?.last;
      if (copy.phase !== 'following' || copy.position?.commitId !== last)
        return `${host}/${partition} is ${copy.phase} at ${copy.position?.commitId} of ${last}`;
    }
    if (agent.document?.version !== version)
      return `${host} knows network information ${agent.document?.version} of ${version}`;
  }
  return '';
}

function standing({ copies }: SimulatedAgent): string {
  return [...copies]
    .map(
      ([partition, { phase, position, leaderLast }]) =>
        `${partition} ${phase} at ${position?.commitId} of ${leaderLast}`,
    )
    .join(', ');
}

/** All know the same network information. */
export function checkNetwork(agents: readonly SimulatedAgent[], network: string): void {
  for (const { host, document } of agents)
    if (document?.body !== network)
      throw new Error(`${host} knows another network information than the edge`);
}

/** Every copy has its leader's rows, schema and log. Gives how many there are. */
export function checkCopies(
  agents: readonly SimulatedAgent[],
  shipping: readonly EdgeShipping[],
  digests: Digests,
): number {
  let compared = 0;
  for (const { host, copies } of agents) {
    for (const [partition, { follower }] of copies) {
      const what = `at the end, ${host}/${partition}`;
      const leader = shipping[partition]?.host;
      if (follower === null || leader === undefined) throw new Error(`${what} has no replica`);
      if (!digests.check(follower.replica, what)) throw new Error(`${what}: its leader was not looked at`);
      checkSameLog(leader.port, follower.replica.port, what);
      if (leader.replica.schema.version !== follower.replica.schema.version)
        throw new Error(`${what}: another schema`);
      compared++;
    }
  }
  return compared;
}

/** Every vote that counts was cast. */
export function checkVotes(port: SqlitePort, cast: ReadonlySet<string>): void {
  for (const [proposal, voter, accept] of port.query('SELECT proposal, voter, accept FROM atoll_votes')
    .rows) {
    if (voter !== EDGE && !cast.has(`${voter}/${proposal}/${accept}`))
      throw new Error(`${voter} never voted ${accept} on ${proposal}`);
  }
}
