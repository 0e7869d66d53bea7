import type { Interactive } from '../core/transaction/interactive.ts';
import { errandsOf } from '../core/transaction/owners.ts';
import { AtollError, type ErrorCode } from '../protocol/error.ts';
import type {
  InteractiveAnswer,
  InteractiveMessage,
  InteractiveStep,
  ScriptAnswer,
  ScriptRun,
} from '../protocol/interactive.ts';
import type { Escapes } from '../protocol/transaction.ts';
import type { ScriptPeers } from './script-peers.ts';

export type StatementRun = Pick<InteractiveMessage, 'schema'> & Extract<InteractiveStep, { kind: 'run' }>;

/** What one partition is asked for: its part; or, afterwards, to take what others have made for it. */
type Asked = Pick<ScriptRun, 'part' | 'changes'>;

/**
 * Has a statement of an interactive transaction evaluated by its partitions, and what they make for others by those. Where
 * it fails in one of them, it is taken back in all.
 *
 * @throws AtollError that is no answer; `endsIt`: after these codes the transaction cannot go on
 */
export async function runInWaves(
  peers: ScriptPeers,
  transaction: Interactive,
  { schema, system, parts, ring }: StatementRun,
  deadline: number,
  endsIt: ReadonlySet<ErrorCode>,
): Promise<InteractiveAnswer> {
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
      system,
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
  const wave = async (asked: readonly Asked[]): Promise<readonly (ScriptAnswer | AtollError)[]> => {
    const outcomes = await Promise.all(asked.map(ask));
    asked.forEach(({ part }, index) => {
      const outcome = outcomes[index];
      if (outcome !== undefined && !(outcome instanceof AtollError))
        transaction.evaluated(part, outcome.script);
    });
    return outcomes;
  };
  const first = await wave(parts.map((part) => ({ part })));
  const errands = first.every(isAnswer) ? errandsOf(escapesOf(first), ring ?? []) : [];
  const later = await wave(
    errands.map(({ partition, epoch, changes }) => ({
      part: { partition, epoch, read: false, statement: { sql: '' } },
      changes,
    })),
  );
  const outcomes = [...first, ...later];
  const errors = outcomes.filter((outcome) => outcome instanceof AtollError);
  const worst = errors.find(({ code }) => endsIt.has(code)) ?? errors[0];
  const failed = outcomes.find((outcome) => !(outcome instanceof AtollError) && outcome.kind === 'failed');
  if (outcomes.length > 1 && (worst !== undefined || failed !== undefined)) transaction.undoNewest();
  if (worst !== undefined) throw worst;
  if (failed !== undefined && 'error' in failed) return { kind: 'error', error: failed.error };
  return { kind: 'answers', replies: first.map((outcome) => ('reply' in outcome ? outcome.reply : '')) };
}

function isAnswer(outcome: ScriptAnswer | AtollError): boolean {
  return !(outcome instanceof AtollError) && outcome.kind === 'answer';
}

function escapesOf(outcomes: readonly (ScriptAnswer | AtollError)[]): Escapes[] {
  return outcomes.flatMap((outcome) =>
    'escapes' in outcome && outcome.escapes !== undefined ? [outcome.escapes] : [],
  );
}
