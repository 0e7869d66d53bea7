import { describe, expect, test } from 'vitest';
import { dump } from '../../../src/core/log/dump.ts';
import { HOST_IDS, HOST_IDS_START } from '../../../src/core/network/host-ranges.ts';
import { PROPOSE_AGAIN_FIRST_MS, PROPOSE_AGAIN_MAX_MS } from '../../../src/core/network/joining.ts';
import { EDGE, VOTING_MS } from '../../../src/core/network/votes.ts';
import {
  acceptHost,
  closeProposals,
  drainHost,
  refuseHost,
  removeHost,
  votesAwaited,
} from '../../../src/core/replica/hosts.ts';
import { SYSTEM_TABLES } from '../../../src/core/replica/system-tables.ts';
import { undoAndRedo } from '../../../src/core/replica/undo-redo.ts';
import { NodeSqlitePort } from '../../../src/node-agent/sqlite-port.ts';
import { HostCluster, hostId } from './hosts-cluster.ts';

const found = (partitions?: number) => HostCluster.found(new NodeSqlitePort(':memory:'), partitions);

const [A, B, C] = ['a', 'b', 'c'].map(hostId) as [string, string, string];

describe('joining', () => {
  test('a proposal that a majority of the present hosts accepts makes a member', () => {
    const cluster = found();
    expect(cluster.propose(A)).toMatchObject({
      kind: 'proposed',
      repeated: false,
      ballot: { proposal: 1, host: A, electorate: [EDGE] },
    });
    expect(cluster.status(A)).toBe('proposal');
    expect(votesAwaited(cluster.system, EDGE, cluster.now)).toHaveLength(1);
    expect(cluster.vote(1, true, EDGE)).toEqual([{ kind: 'counted', verdict: 'accepted' }]);
    expect(votesAwaited(cluster.system, EDGE, cluster.now)).toEqual([]);
    expect(cluster.status(A)).toBe('inactive');
    expect(cluster.rows('SELECT * FROM atoll_replicas WHERE host = ?', A)).toEqual([[0, A, 'learner']]);
  });

  test('each present host has one vote, and who is away has none', () => {
    const cluster = found();
    cluster.join(A, B);
    cluster.pass(20_000, A);
    const third = cluster.propose(C);
    expect(third).toMatchObject({ ballot: { proposal: 3, electorate: [EDGE, A] } });
    expect(cluster.vote(3, true, A, A, B, hostId('z'))).toEqual([
      { kind: 'counted', verdict: 'open' },
      { kind: 'repeated', verdict: 'open' },
      { kind: 'no-elector', verdict: 'open' },
      { kind: 'no-elector', verdict: 'open' },
    ]);
    expect(cluster.vote(3, false, A)).toEqual([{ kind: 'voted-already', verdict: 'open' }]);
    expect(cluster.vote(3, true, EDGE)).toEqual([{ kind: 'counted', verdict: 'accepted' }]);
    expect(cluster.rows('SELECT voter, accept FROM atoll_votes WHERE proposal = 3')).toEqual([
      [A, 1],
      [EDGE, 1],
    ]);
  });

  test('who has been heard from since the last sample is present', () => {
    const cluster = found();
    cluster.join(A);
    cluster.beatInSync(A);
    cluster.now += 60_000;
    cluster.beatInSync(A);
    expect(cluster.propose(B)).toMatchObject({ ballot: { electorate: [EDGE, A] } });
  });

  test('nobody waits for the vote of a host whose link has ended, until it is back', () => {
    const cluster = found();
    cluster.join(A, B);
    cluster.beatInSync(A, B);
    cluster.monitor.left(A);
    expect(cluster.propose(C)).toMatchObject({ ballot: { electorate: [EDGE, B] } });
    cluster.monitor.returned(A);
    expect(cluster.propose(hostId('d'))).toMatchObject({ ballot: { electorate: [EDGE, A, B] } });
    cluster.monitor.left(B);
    cluster.beatInSync(B);
    expect(cluster.propose(hostId('e'))).toMatchObject({ ballot: { electorate: [EDGE, A, B] } });
  });

  test('a host that was removed meanwhile has no vote', () => {
    const cluster = found();
    cluster.join(A);
    cluster.beatInSync(A);
    cluster.propose(B);
    removeHost(cluster.system, A, cluster.now);
    expect(cluster.vote(2, true, A)).toEqual([{ kind: 'no-elector', verdict: 'open' }]);
  });

  test('a proposal without a majority is refused at its deadline, and its votes come to nothing', () => {
    const cluster = found();
    cluster.join(A);
    cluster.beatInSync(A);
    cluster.propose(B);
    cluster.vote(2, true, A);
    expect(closeProposals(cluster.system, cluster.now + VOTING_MS - 1)).toEqual([]);
    cluster.now += VOTING_MS;
    expect(cluster.vote(2, true, EDGE)).toEqual([{ kind: 'closed', verdict: 'refused' }]);
    expect(cluster.status(B)).toBe('refused');
  });

  test('the refused host waits, then proposes itself anew; votes for the former proposal do not count', () => {
    const cluster = found();
    cluster.propose(A);
    cluster.vote(1, false, EDGE);
    expect(cluster.status(A)).toBe('refused');
    const retryAt = cluster.now + PROPOSE_AGAIN_FIRST_MS;
    expect(cluster.propose(A)).toMatchObject({ kind: 'refused', reason: 'too-early', retryAt });
    cluster.now = retryAt;
    expect(cluster.propose(A)).toMatchObject({ kind: 'proposed', ballot: { proposal: 2 } });
    expect(cluster.vote(1, true, EDGE)).toEqual([{ kind: 'voted-already', verdict: 'refused' }]);
    expect(cluster.vote(77, true, EDGE)).toEqual([{ kind: 'other-proposal', verdict: null }]);
    expect(cluster.status(A)).toBe('proposal');
    cluster.vote(2, true, EDGE);
    expect(cluster.status(A)).toBe('inactive');
  });

  test('the same id with the same key is the same host, and its new address is known from then on', () => {
    const cluster = found();
    cluster.propose(A);
    expect(cluster.propose(A)).toMatchObject({ kind: 'proposed', repeated: true, ballot: { proposal: 1 } });
    cluster.vote(1, true, EDGE);
    const addresses = ['https://elsewhere:2'];
    const before = cluster.commits;
    expect(cluster.propose(A)).toEqual({ kind: 'member', status: 'inactive', newAddress: false });
    expect(cluster.commits).toBe(before);
    expect(cluster.propose(A, { addresses, history: 'h' })).toMatchObject({ newAddress: true });
    expect(cluster.system.network().hosts).toMatchObject([{ host: A, addresses }, { host: EDGE }]);
  });

  test('a stolen id, another cluster’s data, a clock that is off and a full disk are refused, and leave nothing', () => {
    const cluster = found();
    cluster.join(A);
    const before = cluster.commits;
    const reasons = [
      cluster.propose(A, { publicKey: 'stolen' }),
      cluster.propose(B, { history: 'another' }),
      cluster.propose(B, { database: 'another' }),
      cluster.propose(B, { time: cluster.now + 3_600_000 }),
      cluster.propose(B, { freeBytes: 1000 }),
    ].map((outcome) => outcome.kind === 'refused' && outcome.reason);
    expect(reasons).toEqual(['another-key', 'other-history', 'other-database', 'clock-off', 'no-space']);
    expect(cluster.commits).toBe(before);
    expect(cluster.status(B)).toBeUndefined();
  });

  test('a member that has lost its data, but not its key, has everything to load again', () => {
    const cluster = found();
    cluster.join(A);
    cluster.beatInSync(A);
    expect(cluster.status(A)).toBe('read');
    cluster.propose(A, { history: null });
    expect(cluster.status(A)).toBe('inactive');
    expect(cluster.rows('SELECT state, matched FROM atoll_replica_progress')).toEqual([['loading', 0]]);
  });
});

describe('membership', () => {
  test('comes with an identifier range of its own, which a removed host gives back', () => {
    const cluster = found();
    cluster.join(A, B);
    const ranges = () =>
      cluster.rows('SELECT id_start, id_end FROM atoll_host_profiles ORDER BY host').map(([start]) => start);
    expect(ranges()).toEqual([HOST_IDS_START, HOST_IDS_START + HOST_IDS]);
    removeHost(cluster.system, A, cluster.now);
    expect(ranges()).toEqual([null, HOST_IDS_START + HOST_IDS]);
    cluster.join(C);
    expect(ranges()).toEqual([null, HOST_IDS_START + HOST_IDS, HOST_IDS_START]);
    const overlapping = cluster.rows(
      `SELECT 1 FROM atoll_partitions p JOIN atoll_host_profiles h ON p.id_start < h.id_end AND h.id_start < p.id_end`,
    );
    expect(overlapping).toEqual([]);
  });

  test('is an operator’s to give, refuse and end; saying so twice does no harm', () => {
    const cluster = found();
    cluster.propose(A);
    cluster.propose(B);
    expect(acceptHost(cluster.system, A, cluster.now)).toEqual({ kind: 'done', status: 'inactive' });
    expect(refuseHost(cluster.system, B, cluster.now)).toEqual({ kind: 'done', status: 'refused' });
    const before = cluster.commits;
    expect(acceptHost(cluster.system, A, cluster.now)).toEqual({ kind: 'done', status: 'inactive' });
    expect(refuseHost(cluster.system, B, cluster.now)).toEqual({ kind: 'done', status: 'refused' });
    expect(cluster.commits).toBe(before);
    expect(cluster.vote(2, true, EDGE)).toEqual([{ kind: 'closed', verdict: 'refused' }]);
    expect(refuseHost(cluster.system, A, cluster.now)).toMatchObject({ reason: 'accepted-already' });
    expect(acceptHost(cluster.system, B, cluster.now)).toEqual({ kind: 'done', status: 'refused' });
    expect(acceptHost(cluster.system, B, cluster.now)).toMatchObject({ reason: 'must-propose-again' });
    expect(drainHost(cluster.system, B, cluster.now)).toMatchObject({ reason: 'must-propose-again' });
    expect(removeHost(cluster.system, A, cluster.now)).toEqual({ kind: 'done', status: 'removed' });
    expect(removeHost(cluster.system, A, cluster.now)).toEqual({ kind: 'done', status: 'removed' });
  });

  test('is not the edge’s to lose, nor an unknown host’s', () => {
    const { system, now } = found();
    for (const decide of [acceptHost, refuseHost, drainHost, removeHost]) {
      expect(decide(system, EDGE, now)).toMatchObject({ kind: 'refused', reason: 'is-edge' });
      expect(decide(system, A, now)).toMatchObject({ kind: 'refused', reason: 'no-such-host' });
    }
  });

  test('ends with everything that it came with; a removed host must be accepted again', () => {
    const cluster = found();
    cluster.join(A);
    cluster.beatInSync(A);
    removeHost(cluster.system, A, cluster.now);
    expect(cluster.rows('SELECT * FROM atoll_replicas WHERE host = ?', A)).toEqual([]);
    expect(cluster.rows('SELECT * FROM atoll_replica_progress')).toEqual([]);
    expect(cluster.system.network().hosts.map(({ host }) => host)).toEqual([EDGE]);
    expect(cluster.beat(A, [])).toEqual({ kind: 'no-member', status: 'removed' });
  });

  test('that an operator ended does not begin again by itself, but when the operator wants it', () => {
    const cluster = found();
    cluster.join(A);
    removeHost(cluster.system, A, cluster.now);
    cluster.now += PROPOSE_AGAIN_MAX_MS - 1;
    expect(cluster.propose(A, { history: 'h' })).toMatchObject({ reason: 'too-early' });
    expect(acceptHost(cluster.system, A, cluster.now)).toEqual({ kind: 'done', status: 'removed' });
    expect(cluster.propose(A, { history: 'h' })).toMatchObject({ kind: 'proposed', ballot: { proposal: 2 } });
    expect(cluster.status(A)).toBe('proposal');
  });

  test('does not depend on the disk having room', () => {
    const cluster = found();
    cluster.join(A);
    expect(cluster.propose(A, { freeBytes: 0, history: 'h' })).toMatchObject({ kind: 'member' });
  });

  test('has a history that says why', () => {
    const cluster = found();
    cluster.join(A);
    cluster.beatInSync(A);
    removeHost(cluster.system, A, cluster.now);
    const events = cluster.rows(
      'SELECT event, status_before, status_after, reason FROM atoll_host_events ORDER BY number',
    );
    expect(events).toEqual([
      ['proposed', null, 'proposal', null],
      ['accepted', 'proposal', 'inactive', 'by vote'],
      ['caught-up', 'inactive', 'read', null],
      ['removed', 'read', 'removed', 'by hand'],
    ]);
    expect(cluster.system.network().hosts).toHaveLength(1);
  });

  test('is in the log: undone and redone it is the same', () => {
    const cluster = found();
    const before = cluster.commits;
    cluster.join(A, B);
    cluster.beatInSync(A, B);
    cluster.monitor.save(cluster.now);
    removeHost(cluster.system, A, cluster.now);
    const tables = dump(cluster.port, SYSTEM_TABLES);
    const count = cluster.commits - before;
    expect(undoAndRedo(cluster.system.replica, count)).toBe(count);
    expect(dump(cluster.port, SYSTEM_TABLES)).toEqual(tables);
  });
});
