import { type Id, mayPrecede, nameOf, precedes, type Transaction, type Violation } from './history.ts';

/** A row: its id is inserted once in the whole history, and never again after a delete. */
export interface Lifetime {
  readonly id: Id;
  readonly insertedBy: Transaction<unknown>;
  /** All that would have deleted it. */
  readonly deletedBy: readonly Transaction<unknown>[];
}

/** All rows that a committed transaction saw when it looked at everything. */
export interface Sight {
  readonly by: Transaction<unknown>;
  /** Strong: as of some moment between call and return. Else: as of some moment before the return. */
  readonly isStrong: boolean;
  /** As they came, repetitions included. */
  readonly ids: readonly Id[];
}

/**
 * `lost`: acknowledged, not deleted, not there. `failed`: there, though its insert certainly was not applied. `doubled`:
 * there twice. `unwritten`: there, though nobody inserted it, yet or ever. `vanished`: seen, not deleted, later not there.
 * `resurrected`: there after an acknowledged delete, or after it was gone.
 */
export type AppearanceAnomaly = 'lost' | 'failed' | 'doubled' | 'unwritten' | 'vanished' | 'resurrected';

/**
 * Whether rows are there when they must be, and only when they may be. O(rows inserted · sights).
 *
 * An insert that is `info` may appear at any time after its call, or never; a delete that is `info` likewise.
 */
export function checkAppearances(
  lifetimes: readonly Lifetime[],
  sights: readonly Sight[],
): Violation<AppearanceAnomaly>[] {
  const byId = new Map(lifetimes.map((lifetime) => [lifetime.id, lifetime]));
  const strong = sights.filter(({ isStrong }) => isStrong).map(({ by, ids }) => ({ by, ids: new Set(ids) }));
  /** When each row was certainly there for the first time. */
  const thereSince = new Map<Id, number>();
  for (const { id, insertedBy } of lifetimes)
    if (insertedBy.outcome === 'ok') setEarliest(thereSince, id, insertedBy.returned);
  for (const { by, ids } of strong) for (const id of ids) setEarliest(thereSince, id, by.returned);

  const found: Violation<AppearanceAnomaly>[] = [];
  /** When each row was certainly gone. */
  const goneSince = new Map<Id, number>();
  for (const { by, ids } of strong)
    for (const { id, insertedBy, deletedBy } of lifetimes) {
      if (ids.has(id) || earliest(thereSince, id) >= by.called) continue;
      if (deletedBy.some((each) => mayPrecede(each, by) && !precedes(each, insertedBy))) {
        setEarliest(goneSince, id, by.returned);
        continue;
      }
      const isAcknowledged = insertedBy.outcome === 'ok' && precedes(insertedBy, by);
      const why = isAcknowledged ? `which ${nameOf(insertedBy)} inserted` : 'which an earlier read saw';
      const message = `${nameOf(by)} did not see ${id}, ${why}; nobody has deleted it`;
      found.push({ anomaly: isAcknowledged ? 'lost' : 'vanished', message });
    }
  // A delete says something of a row that was there: else it may have come first, and deleted nothing.
  for (const { id, deletedBy } of lifetimes)
    for (const { outcome, called, returned } of deletedBy)
      if (outcome === 'ok' && earliest(thereSince, id) < called) setEarliest(goneSince, id, returned);
  for (const sight of sights) found.push(...excessOf(sight, byId, goneSince));
  return found;
}

/** What is there and must not be. */
function excessOf(
  { by, isStrong, ids }: Sight,
  byId: ReadonlyMap<Id, Lifetime>,
  goneSince: ReadonlyMap<Id, number>,
): Violation<AppearanceAnomaly>[] {
  const found: Violation<AppearanceAnomaly>[] = [];
  const add = (anomaly: AppearanceAnomaly, id: Id, why: string): void => {
    found.push({ anomaly, message: `${nameOf(by)} saw ${id}: ${why}` });
  };
  const before = new Set<Id>();
  for (const id of ids) {
    if (before.has(id)) add('doubled', id, 'it is there more than once');
    before.add(id);
    const lifetime = byId.get(id);
    if (lifetime === undefined) {
      add('unwritten', id, 'nobody inserts it');
      continue;
    }
    const { insertedBy } = lifetime;
    if (insertedBy.outcome === 'fail') add('failed', id, `${nameOf(insertedBy)} did not insert it`);
    else if (!mayPrecede(insertedBy, by))
      add('unwritten', id, `only ${nameOf(insertedBy)} inserts it, later`);
    if (isStrong && earliest(goneSince, id) < by.called) {
      add('resurrected', id, 'it was deleted, by an acknowledged delete or as an earlier read shows');
    }
  }
  return found;
}

function earliest(times: ReadonlyMap<Id, number>, id: Id): number {
  return times.get(id) ?? Number.POSITIVE_INFINITY;
}

function setEarliest(times: Map<Id, number>, id: Id, time: number): void {
  times.set(id, Math.min(earliest(times, id), time));
}
