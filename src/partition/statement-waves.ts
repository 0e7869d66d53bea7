import type { PartitionId } from '../base/brand.ts';
import { SYSTEM_PARTITION } from '../base/system-partition.ts';
import type { Interactive } from '../core/transaction/interactive.ts';
import { type Errand, errandsOf } from '../core/transaction/owners.ts';
import { AtollError, type ErrorCode } from '../protocol/error.ts';
import {
  type InteractiveAnswer,
  type InteractiveMessage,
  type InteractiveStep,
  type ScriptAnswer,
  type ScriptRun,
  wireError,
} from '../protocol/interactive.ts';
import type { Escapes, RingRange } from '../protocol/transaction.ts';
import { tooDeep, violation, WAVES_MAX } from './attempt.ts';
import type { ScriptPeers } from './script-peers.ts';

export type StatementRun = Pick<InteractiveMessage, 'schema'> & Extract<InteractiveStep, { kind: 'run' }>;

/** What one partition is asked for: its part; or, afterwards, to take what others have made for it. */
type Asked = Pick<ScriptRun, 'part' | 'changes'>;

/**
 * Has a statement of an interactive transaction evaluated by its partitions, and what they make for others by those, wave after
 * wave; then foreign keys over partitions are judged. Where it fails in one of them, it is taken back in all.
 *
 * @throws AtollError that is no answer; `endsIt`: after these codes the transaction cannot go on
 */
export async function runInWaves(
  peers: ScriptPeers,
  transaction: Interactive,
  { schema, system, parts, ring, copies }: StatementRun,
  deadline: number,
  endsIt: ReadonlySet<ErrorCode>,
): Promise<InteractiveAnswer> {
  const refused = copies === undefined ? null : transaction.useCopies(copies);
  if (refused !== null) return { kind: 'error', error: wireError(refused) };
  const number = transaction.next();
  const { name, expiresMs } = transaction;
  const spreads = ring === undefined ? {} : { spreads: true };
  const ask = async (asked: Asked): Promise<ScriptAnswer | AtollError> => {
    const { partition } = asked.part;
    const reference = transaction.reference(partition);
    const request: ScriptRun = {
      ...reference,
      name,
      number,
      expiresMs,
      schema,
      ...copiesFor(transaction, partition, system),
      ...spreads,
      ...asked,
    };
    try {
      return await peers.ask(partition, 'script-run', request, deadline, (scripts) =>
        scripts.run(request, deadline),
      );
    } catch (error) {
      if (error instanceof AtollError) return error;
      throw error;
    }
  };
  /** By what they have answered last: partitions where a foreign key over partitions does not hold. */
  const violated = new Set<PartitionId>();
  const wave = async (asked: readonly Asked[]): Promise<readonly (ScriptAnswer | AtollError)[]> => {
    const outcomes = await Promise.all(asked.map(ask));
    asked.forEach(({ part }, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined || outcome instanceof AtollError) return;
      transaction.evaluated(part, outcome.script);
      if ('references' in outcome && outcome.references !== undefined)
        transaction.wroteCopies(outcome.references);
      if ('violated' in outcome && outcome.violated === true) violated.add(part.partition);
      else violated.delete(part.partition);
    });
    return outcomes;
  };
  const first = await wave(parts.map((part) => ({ part })));
  const outcomes = [...first];
  let newest = first;
  let errands = errandsAfter(newest, ring);
  for (let waves = 1; errands.length > 0 && waves < WAVES_MAX; waves++) {
    newest = await wave(
      errands.map(({ partition, epoch, changes }) => ({
        part: { partition, epoch, read: false, statement: { sql: '' } },
        changes,
      })),
    );
    outcomes.push(...newest);
    errands = errandsAfter(newest, ring);
  }
  const errors = outcomes.filter((outcome) => outcome instanceof AtollError);
  const worst = errors.find(({ code }) => endsIt.has(code)) ?? errors[0];
  const failed = outcomes.find((outcome) => !(outcome instanceof AtollError) && outcome.kind === 'failed');
  const broken = errands.length > 0 ? tooDeep() : violated.size > 0 ? violation() : null;
  const isKept = outcomes.length > 1 || broken !== null;
  if (isKept && (worst !== undefined || failed !== undefined || broken !== null)) transaction.undoNewest();
  if (worst !== undefined) throw worst;
  if (failed !== undefined && 'error' in failed) return { kind: 'error', error: failed.error };
  if (broken !== null) return { kind: 'error', error: wireError(broken) };
  return { kind: 'answers', replies: first.map((outcome) => ('reply' in outcome ? outcome.reply : '')) };
}

/** Which state of the feed a partition is to have, and what the transaction has done to its copies beside; the system partition knows by itself. */
function copiesFor(
  { copies }: Interactive,
  partition: PartitionId,
  system: number,
): Pick<ScriptRun, 'system' | 'references'> {
  if (copies === null || partition === SYSTEM_PARTITION) return { system };
  return { system: Math.max(system, copies.system), references: copies.changes };
}

/** What is left to do, where nothing has failed. */
function errandsAfter(
  outcomes: readonly (ScriptAnswer | AtollError)[],
  ring: readonly RingRange[] | undefined,
): readonly Errand[] {
  return outcomes.every(isAnswer) ? errandsOf(escapesOf(outcomes), ring ?? []) : [];
}

function isAnswer(outcome: ScriptAnswer | AtollError): boolean {
  return !(outcome instanceof AtollError) && outcome.kind === 'answer';
}

function escapesOf(outcomes: readonly (ScriptAnswer | AtollError)[]): Escapes[] {
  return outcomes.flatMap((outcome) =>
    'escapes' in outcome && outcome.escapes !== undefined ? [outcome.escapes] : [],
  );
}
