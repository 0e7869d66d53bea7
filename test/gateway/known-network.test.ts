import { expect, test } from 'vitest';
import type { Epoch, PartitionId, SchemaVersion } from '../../src/base/brand.ts';
import { type Catalogue, EMPTY_CATALOGUE } from '../../src/core/schema/catalogue.ts';
import { KnownNetwork } from '../../src/gateway/known-network.ts';
import { planClientStatement } from '../../src/gateway/planned.ts';
import type { NetworkInformation } from '../../src/protocol/network.ts';
import { SessionSeal } from '../../src/protocol/session-seal.ts';

const PARTITION = 1 as PartitionId;

function information(version: number, schema: number, history = 'h'): NetworkInformation<Catalogue> {
  const ranges = [{ start: 0, end: 2 ** 32 }];
  const epoch = 1 as Epoch;
  const appliedSchema = schema as SchemaVersion;
  return {
    database: 'main',
    version,
    history,
    schemaVersion: schema as SchemaVersion,
    systemIndex: 0,
    hosts: [],
    partitions: [{ id: PARTITION, epoch, ranges, status: 'write', host: 'edge', appliedSchema }],
    catalogue: { ...EMPTY_CATALOGUE, version: schema as SchemaVersion },
  };
}

const planOf = (known: KnownNetwork) => planClientStatement({ sql: 'SELECT 1' }, known).plan;

test('plans stay as long as the schema does', () => {
  const known = new KnownNetwork(information(5, 2), new SessionSeal(null));
  const plan = planOf(known);
  expect(planOf(known.replacedBy(information(6, 2)))).toBe(plan);
  expect(planOf(known.replacedBy(information(7, 3)))).not.toBe(plan);
});

test('an answer that was overtaken on its way changes nothing', () => {
  const known = new KnownNetwork(information(5, 2), new SessionSeal(null));
  expect(known.replacedBy(information(5, 2))).toBe(known);
  expect(known.replacedBy(information(4, 2))).toBe(known);
  const learnt = known.updated({
    partition: PARTITION,
    history: 'h',
    epoch: 1 as Epoch,
    ranges: [],
    systemIndex: 9,
    catalogue: information(0, 3).catalogue,
  });
  expect(learnt?.replacedBy(information(6, 2))).toBe(learnt);
  expect(learnt?.replacedBy(information(8, 3)).information.version).toBe(8);
});

test('another history is another database, whatever its versions say', () => {
  const known = new KnownNetwork(information(5, 2), new SessionSeal(null));
  const restored = known.replacedBy(information(1, 1, 'restored'));
  expect(restored.information).toMatchObject({ version: 1, history: 'restored' });
});
