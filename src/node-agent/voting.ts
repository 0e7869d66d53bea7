import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import { hostMessage, ProbeReply, type Vote, type VoteRequest } from '../protocol/hosts.ts';
import type { Dialler } from '../rpc/dial.ts';
import { readHead } from '../rpc/read-head.ts';
import { dialLink } from './links/dial.ts';
import { type LogEvent, messageOf } from './log.ts';

/**
 * Looks at a newcomer as a voter must: it is who it says, at the address that it gives, and has space for the system
 * partition, which every host holds. One without an address is known by its link to the edge alone.
 */
export async function judgeNewcomer(
  request: VoteRequest,
  dialler: Dialler,
  log: LogEvent,
): Promise<Pick<Vote, 'accept' | 'reason'>> {
  const { addresses, freeBytes, neededBytes, host } = request;
  if (freeBytes < neededBytes) return no(`it has ${freeBytes} bytes free, and needs ${neededBytes}`);
  if (addresses.length === 0) return { accept: true, reason: 'it has space; it gives no address' };
  const failures: string[] = [];
  for (const url of addresses) {
    try {
      const space = await askAt(url, { ...dialler, expects: host }, log);
      if (space !== null && space < neededBytes)
        return no(`it says that ${space} bytes are free, and needs ${neededBytes}`);
      return { accept: true, reason: `it answers at ${url}, and has space` };
    } catch (error) {
      failures.push(`${url}: ${messageOf(error)}`);
    }
  }
  return no(`it cannot be reached: ${failures.join('; ')}`);
}

function no(reason: string): Pick<Vote, 'accept' | 'reason'> {
  return { accept: false, reason: reason.slice(0, 1000) };
}

/** Its free bytes, as the host at the address says, having proved that it is the one. */
async function askAt(url: string, dialler: Dialler, log: LogEvent): Promise<number | null> {
  const handlers = { calls: {}, events: {} };
  const { open } = await dialLink({
    url,
    partition: SYSTEM_PARTITION,
    dialler,
    handlers,
    pingEveryMs: 0,
    log,
  });
  try {
    const reply = await open.link.call(
      hostMessage.probe,
      { time: Date.now() },
      { deadline: Date.now() + PROBE_MS },
    );
    return readHead(ProbeReply, hostMessage.probe, reply.head).freeBytes;
  } finally {
    open.close(1000, 'it was a probe');
  }
}

/** Chosen: votes count for 30 s. */
const PROBE_MS = 5_000;
