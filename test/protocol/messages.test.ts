import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import * as hosts from '../../src/protocol/hosts.ts';
import * as link from '../../src/protocol/link.ts';
import * as replication from '../../src/protocol/replication.ts';
import { readHead } from '../../src/rpc/read-head.ts';

const HOST = '47z33qx1ajh62rkb';
const KEY = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
const SIGNATURE = 'A'.repeat(86);
const position = { commitId: 7, term: 2, timestamp: '0193a0000000000-p1', offset: 0 };
const addresses = ['https://a.example:8787/atoll'];

/** One valid message of each shape. */
const samples: readonly (readonly [name: string, schema: v.GenericSchema, head: Record<string, unknown>])[] =
  [
    [
      'hello',
      link.Hello,
      {
        versions: [2, 1],
        host: HOST,
        publicKey: KEY,
        nonce: KEY,
        database: 'main',
        history: null,
        address: null,
      },
    ],
    [
      'challenge',
      link.Challenge,
      { version: 1, host: HOST, nonce: KEY, proof: KEY, publicKey: KEY, signature: SIGNATURE },
    ],
    ['prove', link.Prove, { proof: KEY, signature: SIGNATURE }],
    ['welcome', link.Welcome, { time: 1_700_000_000_000, history: 'h' }],
    ['carried reply', link.CarriedReply, { status: 421 }],
    ['follow', replication.Follow, { partition: 3, position }],
    ['follow reply', replication.FollowReply, { next: 'entries', last: 9 }],
    [
      'append',
      replication.Append,
      { partition: 3, previous: { commitId: 7, term: 2 }, piece: { offset: 5, next: null }, last: 9 },
    ],
    ['appended', replication.Appended, { partition: 3, kind: 'appended', position }],
    ['snapshot-open', replication.SnapshotOpen, { partition: 0 }],
    ['read-index', replication.ReadIndex, { partition: 1 }],
    ['read-index reply', replication.ReadIndexReply, { commitId: 7, term: 2, timestamp: '' }],
    [
      'join',
      hosts.Join,
      {
        host: HOST,
        name: 'cellar',
        publicKey: KEY,
        addresses,
        database: 'main',
        history: null,
        time: 1_700_000_000_000,
        freeBytes: 5,
        totalBytes: 10,
        cpuRating: 98.5,
      },
    ],
    ['join reply', hosts.JoinReply, { status: 'proposal', proposal: 1, refusal: null }],
    [
      'heartbeat',
      hosts.Heartbeat,
      {
        time: 1,
        freeBytes: 5,
        totalBytes: 10,
        heldBytes: 2,
        cpuRating: 98.5,
        latencies: { edge: 0.5, [HOST]: 12 },
        replicas: [{ partition: 0, matched: 9, leaderLast: 9, lagMs: 0.25 }],
      },
    ],
    ['vote', hosts.Vote, { proposal: 1, accept: true, reason: 'reached in 3 ms' }],
    [
      'host-list',
      hosts.HostList,
      { version: 4, hosts: [{ host: 'edge', publicKey: null, addresses, status: 'write' }] },
    ],
  ];

/** Fields that may be left out. */
const OPTIONAL = new Set([
  'challenge.publicKey',
  'challenge.signature',
  'join.name',
  'join.history',
  'join reply.refusal',
]);

describe.each(samples)('%s', (name, schema, head) => {
  test('is taken as it is, without the fields of a later version', () => {
    expect(readHead(schema, name, { ...head, future: { any: 1 } })).toEqual(head);
  });

  test('is refused, the field named, where one is missing or of another type', () => {
    for (const field of Object.keys(head)) {
      const { [field]: _, ...rest } = head;
      for (const wrong of [rest, { ...head, [field]: Number.NaN }, { ...head, [field]: { toString: 1 } }]) {
        if (wrong === rest && OPTIONAL.has(`${name}.${field}`)) continue;
        expect(() => readHead(schema, name, wrong), `${field}: ${JSON.stringify(wrong)}`).toThrow(
          expect.objectContaining({
            code: 'bad-request',
            message: expect.stringContaining(`'${name}', ${field}`),
          }),
        );
      }
    }
    for (const other of [null, 1, 'text', []]) {
      expect(() => readHead(schema, name, other)).toThrow(expect.objectContaining({ code: 'bad-request' }));
    }
  });
});

test('numbers that are no counts, ids of hosts that are none, and addresses that are no URL are refused', () => {
  const [, , follow] = samples.find(([name]) => name === 'follow') ?? [];
  const [, , join] = samples.find(([name]) => name === 'join') ?? [];
  for (const partition of [-1, 0.5, 2 ** 31, 2 ** 53, '1']) {
    expect(v.is(replication.Follow, { ...follow, partition }), String(partition)).toBe(false);
  }
  for (const host of ['edge', 'me', HOST.toUpperCase(), `${HOST}0`, `${HOST.slice(1)}u`]) {
    expect(v.is(hosts.Join, { ...join, host }), host).toBe(false);
  }
  for (const address of [
    'a.example',
    'ftp://a.example',
    'http://',
    'http://a b',
    `http://${'a'.repeat(300)}`,
  ]) {
    expect(v.is(hosts.Join, { ...join, addresses: [address] }), address).toBe(false);
  }
  expect(v.is(hosts.Join, { ...join, addresses: new Array(5).fill(addresses[0]) })).toBe(false);
});
