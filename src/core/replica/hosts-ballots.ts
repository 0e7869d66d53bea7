import { present } from '../../base/assert.ts';
import type { Ballot, Verdict, Vote } from '../network/votes.ts';
import type { PortValue, SqlitePort } from '../sqlite/port.ts';
import { isoOf, timeOf } from './hosts-rows.ts';

/** Ballots as rows of `atoll_host_proposals` and `atoll_votes`, in the transaction that is open. */

/** Ended proposals that are kept for each host, the newest (chosen). */
const PROPOSALS_MAX = 8;

const BALLOTS = 'SELECT proposal, host, electorate, state, deadline FROM atoll_host_proposals';

export function readBallot(port: SqlitePort, proposal: number): Ballot | null {
  const row = port.query(`${BALLOTS} WHERE proposal = ?`, proposal).rows[0];
  return row === undefined ? null : ballotOf(port, row);
}

export function readOpenBallots(port: SqlitePort): Ballot[] {
  const { rows } = port.query(`${BALLOTS} WHERE state = 'open' ORDER BY proposal`);
  return rows.map((row) => ballotOf(port, row));
}

/** The newest ballot of a host, open or not. */
export function readLastBallot(port: SqlitePort, host: string): Ballot | null {
  const row = port.query(`${BALLOTS} WHERE host = ? ORDER BY proposal DESC LIMIT 1`, host).rows[0];
  return row === undefined ? null : ballotOf(port, row);
}

function ballotOf(
  port: SqlitePort,
  [proposal, host, electorate, state, deadline]: readonly PortValue[],
): Ballot {
  const { rows } = port.query(
    'SELECT voter, accept FROM atoll_votes WHERE proposal = ? ORDER BY voter',
    Number(proposal),
  );
  return {
    proposal: Number(proposal),
    host: String(host),
    electorate: JSON.parse(String(electorate)),
    votes: Object.fromEntries(rows.map(([voter, accept]) => [String(voter), Number(accept) === 1])),
    deadline: present(timeOf(deadline), 'a ballot has a deadline'),
    verdict: String(state) as Verdict,
  };
}

/** Of a number above all earlier ones: votes for those are never taken for votes on this. */
export function nextProposal(port: SqlitePort): number {
  return Number(port.query('SELECT coalesce(max(proposal), 0) + 1 FROM atoll_host_proposals').rows[0]?.[0]);
}

export function insertBallot(port: SqlitePort, ballot: Ballot, now: number): void {
  port.query(
    `INSERT INTO atoll_host_proposals VALUES (?, ?, ?, 'open', ?, ?, NULL)`,
    ballot.proposal,
    ballot.host,
    JSON.stringify(ballot.electorate),
    isoOf(now),
    isoOf(ballot.deadline),
  );
  forgetOld(port, ballot.host);
}

export function insertVote(port: SqlitePort, vote: Vote, reason: string | null, now: number): void {
  const accept = vote.accept ? 1 : 0;
  port.query(
    'INSERT INTO atoll_votes VALUES (?, ?, ?, ?, ?)',
    vote.proposal,
    vote.voter,
    accept,
    reason,
    isoOf(now),
  );
}

/** The newest proposal of all is among those that stay, so no number is given twice. */
function forgetOld(port: SqlitePort, host: string): void {
  const { rows } = port.query(
    'SELECT proposal FROM atoll_host_proposals WHERE host = ? ORDER BY proposal DESC LIMIT -1 OFFSET ?',
    host,
    PROPOSALS_MAX,
  );
  for (const [proposal] of rows) {
    port.query('DELETE FROM atoll_votes WHERE proposal = ?', Number(proposal));
    port.query('DELETE FROM atoll_host_proposals WHERE proposal = ?', Number(proposal));
  }
}
