import { expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { encodeChanges } from '../../../src/core/log/encoding.ts';
import { prepareWork } from '../../../src/core/replica/participant.ts';
import { tokenOfKey } from '../../../src/core/schema/partition-key.ts';
import { toBase64 } from '../../../src/protocol/base64.ts';
import { Waves, type Yes } from './waves.ts';

const PEOPLE =
  'CREATE TABLE people (town TEXT, nick TEXT UNIQUE, n INTEGER, PRIMARY KEY (town, nick)) WITHOUT ROWID';

/** An upsert in partition 1 whose row in the way is in partition 2, as it was read; then the second wave. */
function upsert(clause: string, meanwhile: string | null) {
  const waves = new Waves(`${PEOPLE} PARTITION BY (town)`);
  const [[a = ''] = [], [b = ''] = []] = waves.keys;
  waves.transact(2, 'first', "INSERT INTO people VALUES (?, 'x', 1)", [b]);
  const { tables } = waves.cluster.replica(1).schema.catalogue;
  const tableId = present(
    tables.find(({ name }) => name === 'people'),
    'there is people',
  ).id;
  const image = [b, 'x', 1n];
  const sql = `INSERT INTO people VALUES (?, 'x', 5) ON CONFLICT (nick) ${clause} RETURNING town, n`;
  const request = waves.request(1, 'upsert', { statements: [{ sql, args: [a] }] });
  const visitors = {
    tokens: [tokenOfKey([b], [{ affinity: 'TEXT', collation: 'BINARY' }])],
    changes: toBase64(encodeChanges([{ type: 'create', tableId, layout: 0, before: null, after: image }])),
  };
  const part = { ...request.part, visitors };
  const outcome = waves.perform(1, (replica) => prepareWork(replica, { ...request, part }));
  if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
  if (meanwhile !== null) waves.transact(2, 'other', meanwhile, [b]);
  const vote: Yes = JSON.parse(outcome.body);
  const later = waves.later('upsert', [vote], 1, true);
  for (const partition of [1, 2])
    waves.end(
      partition,
      'upsert',
      later.every(({ kind }) => kind === 'done'),
    );
  const rows = [1, 2].flatMap((partition) => waves.rows(partition, 'SELECT town, n FROM people'));
  return {
    b,
    answer: JSON.parse(vote.reply).results[0],
    codes: later.map((each) => (each.kind === 'error' ? each.error.code : each.kind)),
    rows,
  };
}

test('a row in the way is changed where it lives, and none comes', () => {
  const { b, answer, rows } = upsert('DO UPDATE SET n = n + excluded.n', null);
  expect(answer).toMatchObject({ rows: [[b, 6]], rowsAffected: 1, lastInsertRowid: null });
  expect(rows).toEqual([[b, 6]]);
});

test.each(['DO UPDATE SET n = n + excluded.n', 'DO UPDATE SET n = 9 WHERE people.n > 1', 'DO NOTHING'])(
  'nothing is done if it has changed or gone meanwhile, even where it would only be looked at: %s',
  (clause) => {
    const changed = upsert(clause, 'UPDATE people SET n = 2 WHERE town = ?');
    expect(changed.codes).toContain('conflict');
    expect(changed.rows).toEqual([[changed.b, 2]]);
    const gone = upsert(clause, 'DELETE FROM people WHERE town = ?');
    expect(gone.codes).toContain('conflict');
    expect(gone.rows).toEqual([]);
    expect(upsert(clause, null).codes).not.toContain('conflict');
  },
);
