import type { Random } from '../../harness/random.ts';
import {
  type History,
  type Id,
  mayPrecede,
  nameOf,
  precedes,
  type Transaction,
  type Violation,
} from '../checkers/history.ts';
import { checkUnique, type UniqueStep } from '../checkers/unique.ts';
import type { Operation } from '../client.ts';
import { rebuild } from './rebuild.ts';
import { SCHEMA_PAUSES_MS, type Workload } from './workload.ts';

const TOWNS = Array.from({ length: 7 }, (_, index) => `town ${index}`);
const NICKS = Array.from({ length: 12 }, (_, index) => `nick ${index}`);

/** People that are moved, looked up and removed. */
const RECENT = 3;

/** A person that was looked up: `nick` is undefined if nobody was there. */
interface Look {
  readonly kind: 'look';
  readonly person: string;
  readonly nick: string | undefined;
}

type Step = UniqueStep | Look;

/**
 * People come with a nickname out of few, move between towns, are looked up, and go. Neither who they are nor how they are
 * called is the partition key: two indexes over partitions follow every step.
 */
export function people(): Workload<Step> {
  let count = 0;
  /** Whose insert was just acknowledged: to be looked for at once, while partitions are still told. */
  let fresh: string | null = null;
  const acknowledged = (person: string): void => {
    fresh = person;
  };
  return {
    name: 'people',
    interactive: false,
    setUp: [
      [
        {
          sql: 'CREATE TABLE people (town TEXT, person TEXT PRIMARY KEY, nick TEXT UNIQUE, note TEXT) PARTITION BY (town)',
        },
      ],
    ],
    schemaPausesMs: SCHEMA_PAUSES_MS,
    schemaChanges: [
      rebuild(
        'people',
        'town TEXT, nick TEXT UNIQUE, person TEXT PRIMARY KEY, note TEXT',
        'note, nick, person, town',
      ),
      'ALTER TABLE people ADD COLUMN age INTEGER',
      'CREATE INDEX people_note ON people (note)',
    ],
    next: (random) => {
      if (fresh !== null && random.chance(0.6)) {
        const person = fresh;
        fresh = null;
        return look(person);
      }
      // One of the last: those that are moved and looked for at the same time are the same.
      const someone = `p${Math.max(1, count - random.below(RECENT))}`;
      if (random.chance(0.3)) return insert(random, `p${++count}`, acknowledged);
      if (random.chance(0.4)) return move(random, someone);
      if (random.chance(0.15)) return remove(someone);
      return random.chance(0.7) ? look(someone) : readAll(random);
    },
    final: () => readAll(null),
    check: (history) => [
      ...checkUnique(history.map(({ steps, ...rest }) => ({ ...rest, steps: steps.filter(isUniqueStep) }))),
      ...checkLooks(history),
    ],
  };
}

function insert(random: Random, person: string, acknowledged: (person: string) => void): Operation<Step> {
  const nick = random.chance(0.1) ? null : random.pick(NICKS);
  return {
    path: '/v1/query',
    body: {
      sql: 'INSERT INTO people (town, person, nick) VALUES (?, ?, ?)',
      args: [random.pick(TOWNS), person, nick],
    },
    steps: (results) => {
      if (results !== null) acknowledged(person);
      return [{ kind: 'insert', row: person, value: nick }];
    },
  };
}

/** All of a town, or a person, wherever it is. */
function move(random: Random, person: string): Operation<Step> {
  const to = random.pick(TOWNS);
  const [where, which] = random.chance(0.2) ? ['town', random.pick(TOWNS)] : ['person', person];
  return {
    path: '/v1/query',
    body: { sql: `UPDATE people SET town = ? WHERE ${where} = ?`, args: [to, which] },
    steps: () => [],
  };
}

function remove(person: string): Operation<Step> {
  return {
    path: '/v1/query',
    body: { sql: 'DELETE FROM people WHERE person = ?', args: [person] },
    steps: () => [{ kind: 'delete', row: person }],
  };
}

function look(person: string): Operation<Step> {
  return {
    path: '/v1/query',
    body: { sql: 'SELECT nick FROM people WHERE person = ?', args: [person] },
    steps: (results) => {
      const [row] = results?.[0] ?? [];
      return [{ kind: 'look', person, nick: row === undefined ? undefined : String(row[0]) }];
    },
  };
}

function readAll(random: Random | null): Operation<Step> {
  const sql = 'SELECT person, nick FROM people';
  const alone = random?.chance(0.5) === true;
  return {
    path: alone ? '/v1/query' : '/v1/batch',
    body: alone ? { sql } : { statements: [{ sql }] },
    steps: (results) => {
      const rows = (results?.[0] ?? []).map(([row, value]) => ({
        row: row as Id,
        value: value as Id | null,
      }));
      return [{ kind: 'read-all', isStrong: true, rows }];
    },
  };
}

function isUniqueStep(step: Step): step is UniqueStep {
  return step.kind !== 'look';
}

type LookAnomaly = 'overlooked' | 'imagined' | 'changed';

/** Who was certainly there is found, with the nickname of the insert; who was certainly not there is not. */
function checkLooks(history: History<Step>): Violation<LookAnomaly>[] {
  const inserts = new Map<Id, { by: Transaction<Step>; value: Id | null }>();
  const deletes = new Map<Id, Transaction<Step>[]>();
  for (const by of history)
    for (const step of by.steps) {
      if (step.kind === 'insert') inserts.set(step.row, { by, value: step.value });
      if (step.kind === 'delete') deletes.set(step.row, [...(deletes.get(step.row) ?? []), by]);
    }
  return history.flatMap((by) => {
    if (by.outcome !== 'ok') return [];
    return by.steps.flatMap((step): Violation<LookAnomaly>[] => {
      if (step.kind !== 'look') return [];
      const { person, nick } = step;
      const inserted = inserts.get(person);
      const removed = (deletes.get(person) ?? []).filter((each) => mayPrecede(each, by));
      const there = inserted?.by.outcome === 'ok' && precedes(inserted.by, by) && removed.length === 0;
      if (nick === undefined) {
        if (!there) return [];
        return [{ anomaly: 'overlooked', message: `${nameOf(by)} did not find ${person}` }];
      }
      const gone =
        inserted !== undefined &&
        removed.some((each) => each.outcome === 'ok' && precedes(inserted.by, each) && precedes(each, by));
      if (inserted === undefined || !mayPrecede(inserted.by, by) || gone)
        return [{ anomaly: 'imagined', message: `${nameOf(by)} found ${person}` }];
      if (String(inserted.value) === nick) return [];
      return [{ anomaly: 'changed', message: `${nameOf(by)} found ${person} as ${nick}` }];
    });
  });
}
