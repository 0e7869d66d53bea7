import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { AtollError } from '../../src/protocol/error.ts';
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX } from '../../src/protocol/frame.ts';
import { RPC_VERSION } from '../../src/protocol/rpc.ts';
import { ANSWERED_MAX } from '../../src/rpc/answered.ts';
import { readErrorHead } from '../../src/rpc/error-head.ts';
import type { Message } from '../../src/rpc/link.ts';
import { readHead } from '../../src/rpc/read-head.ts';
import { carry, ManualClock, sideOf } from './pair.ts';

const NONE = new Uint8Array(0);
const reply = (head: unknown, data = NONE): Message => ({ head, data });

/** Waits for something that only this test answers. */
function held(): {
  readonly handler: () => Promise<Message>;
  readonly release: (head: unknown) => void;
  count: number;
} {
  const { promise, resolve } = Promise.withResolvers<Message>();
  const state = {
    count: 0,
    handler: () => {
      state.count++;
      return promise;
    },
    release: (head: unknown) => resolve(reply(head)),
  };
  return state;
}

/** What the call is refused with; looked at later, when it has long been refused. */
function refusalOf(call: Promise<Message>): Promise<unknown> {
  return call.then(
    () => null,
    (refusal: unknown) => refusal,
  );
}

function failing(code: string, outcome: string, message = /./) {
  return expect.objectContaining({ code, outcome, message: expect.stringMatching(message) });
}

describe('a call', () => {
  test('is answered with what its handler gives, head and bytes, both ways at once', async () => {
    const clock = new ManualClock();
    const calls = { echo: ({ head, data }: Message) => reply({ was: head }, data.toReversed()) };
    const [left, right] = [sideOf('edge', clock, { calls }), sideOf('a', clock, { calls })];
    const data = Uint8Array.from([1, 2, 3]);
    const both = Promise.all([left.link.call('echo', [1], { data }), right.link.call('echo', null)]);
    await carry(left, right);
    expect(await both).toEqual([
      { head: { was: [1] }, data: Uint8Array.from([3, 2, 1]) },
      { head: { was: null }, data: NONE },
    ]);
    expect(clock.waiting).toBe(0);
  });

  test('and its answer may be larger than a frame', async () => {
    const clock = new ManualClock();
    const calls = { double: ({ data }: Message) => reply(null, new Uint8Array(data.length * 2).fill(7)) };
    const [left, right] = [sideOf('edge', clock), sideOf('a', clock, { calls })];
    const answer = left.link.call('double', null, { data: new Uint8Array(FRAME_BYTES_MAX + 5) });
    await carry(left, right);
    expect((await answer).data.length).toBe(2 * FRAME_BYTES_MAX + 10);
  });

  test('tells its handler who calls, and the deadline by its own clock', async () => {
    const [near, far] = [new ManualClock(), new ManualClock()];
    far.advance(3_600_000);
    const seen: unknown[] = [];
    const calls = {
      look: (_: Message, from: unknown, deadline: number) => {
        seen.push(from, deadline - far.now());
        return reply(null);
      },
    };
    const [left, right] = [sideOf('a', near), sideOf('edge', far, { calls })];
    const answers = [
      left.link.call('look', null, { deadline: near.now() + 700 }),
      left.link.call('look', null),
    ];
    await carry(left, right);
    await Promise.all(answers);
    expect(seen).toEqual([
      { host: 'edge', publicKey: null, version: RPC_VERSION },
      700,
      { host: 'edge', publicKey: null, version: RPC_VERSION },
      30_000,
    ]);
  });

  test('that fails is refused with the same error', async () => {
    const clock = new ManualClock();
    const calls = {
      fail: () => {
        throw new AtollError('constraint', 'UNIQUE failed', 'none', { table: 't' });
      },
    };
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls })];
    const answer = refusalOf(left.link.call('fail', null));
    await carry(left, right);
    expect(await answer).toMatchObject({
      name: 'AtollError',
      code: 'constraint',
      message: 'UNIQUE failed',
      outcome: 'none',
      detail: { table: 't' },
    });
    expect(right.failures).toEqual([]);
  });

  test('that meets a defect is refused without its text, which the host’s log has', async () => {
    const clock = new ManualClock();
    const calls = {
      fail: () => Promise.reject(new Error('a path on this machine')),
    };
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls })];
    const answer = refusalOf(left.link.call('fail', null));
    await carry(left, right);
    expect(await answer).toEqual(failing('internal', 'unknown', /^(?!.*path)/));
    expect(right.failures).toEqual([{ type: 'fail', thrown: new Error('a path on this machine') }]);
  });

  test('of a type that nobody takes is refused, also one that every object has', async () => {
    const clock = new ManualClock();
    const [left, right] = [sideOf('a', clock), sideOf('b', clock)];
    for (const type of ['future', 'constructor', '__proto__']) {
      const answer = refusalOf(left.link.call(type, null));
      await carry(left, right);
      expect(await answer).toEqual(failing('unsupported', 'none', new RegExp(type)));
    }
  });

  test('without a handler of its own goes to the one for all', async () => {
    const clock = new ManualClock();
    const anyCall = async (type: string, { head }: Message) => reply([type, head]);
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { anyCall })];
    const answer = left.link.call('execute', 5);
    await carry(left, right);
    expect((await answer).head).toEqual(['execute', 5]);
  });

  test('is given up at its deadline; an answer after it does no harm', async () => {
    const clock = new ManualClock();
    const slow = held();
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls: { slow: slow.handler } })];
    const answer = refusalOf(left.link.call('slow', null, { deadline: clock.now() + 50 }));
    await carry(left, right);
    clock.advance(50);
    expect(await answer).toEqual(failing('timeout', 'unknown', /host a has not answered 'slow' in 50 ms/));
    slow.release(null);
    await carry(left, right);
    expect(left.link.isOpen).toBe(true);
  });

  test('without time left is not sent', async () => {
    const clock = new ManualClock();
    const left = sideOf('a', clock);
    await expect(left.link.call('x', null, { deadline: clock.now() })).rejects.toEqual(
      failing('timeout', 'none'),
    );
    expect(left.sent).toEqual([]);
  });

  test('too large to send is refused, and so is an answer, after which the outcome is unknown', async () => {
    const clock = new ManualClock();
    const data = new Uint8Array(64 << 20);
    const [left, right] = [
      sideOf('a', clock),
      sideOf('b', clock, { calls: { big: () => reply(null, data) } }),
    ];
    await expect(left.link.call('big', null, { data })).rejects.toEqual(failing('too-large', 'none'));
    const answer = refusalOf(left.link.call('big', null));
    await carry(left, right);
    expect(await answer).toEqual(failing('result-too-large', 'unknown'));
  });
});

test('an error of a later version is a defect to this one, its outcome is kept', () => {
  const error = { code: 'quota', message: 'too much', retryable: true, outcome: 'none', since: 3 };
  expect(readErrorHead({ error })).toEqual(failing('internal', 'none', /too much \(error quota/));
  for (const head of [null, {}, { error: 'x' }, { error: { ...error, outcome: 'perhaps' } }]) {
    expect(readErrorHead(head)).toEqual(failing('internal', 'unknown'));
  }
});

describe('a repeated call', () => {
  test('is not executed again: it gets the same answer, or waits for it', async () => {
    const clock = new ManualClock();
    const slow = held();
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls: { slow: slow.handler } })];
    const answer = left.link.call('slow', null);
    const [frame] = left.sent.splice(0) as [Uint8Array];
    right.link.receive(frame);
    right.link.receive(frame);
    slow.release('once');
    await carry(left, right);
    expect((await answer).head).toBe('once');
    right.link.receive(frame);
    expect(right.sent.map((bytes) => decodeFrame(bytes).head)).toEqual(['once']);
    expect(slow.count).toBe(1);
  });

  test('whose answer was too large to keep is refused with an unknown outcome', async () => {
    const clock = new ManualClock();
    let count = 0;
    const calls = { big: () => reply(++count, new Uint8Array(2 << 20)) };
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls })];
    void left.link.call('big', null);
    const [frame] = [...left.sent] as [Uint8Array];
    await carry(left, right);
    right.link.receive(frame);
    expect(right.sent.map((bytes) => decodeFrame(bytes).head)).toMatchObject([
      { error: { code: 'unknown-outcome' } },
    ]);
    expect(count).toBe(1);
  });

  test('is known among the last ones only: memory has a bound', async () => {
    const clock = new ManualClock();
    let count = 0;
    const calls = { next: () => reply(++count) };
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls })];
    const frames: Uint8Array[] = [];
    for (let i = 0; i <= ANSWERED_MAX; i++) {
      void left.link.call('next', null);
      frames.push(...left.sent);
      await carry(left, right);
    }
    right.link.receive(frames[1] as Uint8Array);
    await carry(left, right);
    expect(count).toBe(ANSWERED_MAX + 1);
    right.link.receive(frames[0] as Uint8Array);
    expect(count).toBe(ANSWERED_MAX + 2);
  });

  test('of another type under the same id ends the link', async () => {
    const clock = new ManualClock();
    const right = sideOf('b', clock, { anyCall: async () => reply(null) });
    const frame = { kind: 'call', id: 4, deadlineMs: 0, head: null, data: NONE } as const;
    right.link.receive(encodeFrame({ ...frame, type: 'one' }));
    right.link.receive(encodeFrame({ ...frame, type: 'two' }));
    expect(right.closes).toEqual([{ code: 4400, reason: "call 4 was a 'one' and is now a 'two'" }]);
  });

  test('is not what a side sends that has slept since and lost its count', async () => {
    const clock = new ManualClock();
    let count = 0;
    const right = sideOf('b', clock, { calls: { next: () => reply(++count) } });
    for (let woken = 0; woken < 3; woken++) {
      const left = sideOf('a', clock);
      for (let i = 0; i < 5; i++) {
        const answer = left.link.call('next', null);
        await carry(left, right);
        expect((await answer).head).toBe(woken * 5 + i + 1);
        clock.advance(2);
      }
    }
  });
});

describe('too many calls', () => {
  test('are refused by who would send them, and by who would take them', async () => {
    const clock = new ManualClock();
    const slow = held();
    const left = sideOf('a', clock, {}, { callsMax: 3 });
    const right = sideOf('b', clock, { calls: { slow: slow.handler } }, { callsMax: 2 });
    const answers = [1, 2].map(() => left.link.call('slow', null));
    const refused = refusalOf(left.link.call('slow', null));
    await expect(left.link.call('slow', null)).rejects.toEqual(
      failing('overloaded', 'none', /3 calls wait for host a/),
    );
    await carry(left, right);
    expect(await refused).toEqual(
      failing('overloaded', 'none', /2 calls with 0 bytes of this link are in progress/),
    );
    slow.release('done');
    await carry(left, right);
    expect((await Promise.all(answers)).map(({ head }) => head)).toEqual(['done', 'done']);
    const later = left.link.call('slow', null);
    await carry(left, right);
    expect((await later).head).toBe('done');
  });
});

test('calls that bring too much at once are refused until the others are done', async () => {
  const clock = new ManualClock();
  const slow = held();
  const left = sideOf('a', clock);
  const right = sideOf('b', clock, { calls: { slow: slow.handler } }, { messageBytesMax: 3 << 20 });
  const send = (bytes: number) => left.link.call('slow', null, { data: new Uint8Array(bytes) });
  const first = send(2 << 20);
  const second = refusalOf(send((1 << 20) + 1));
  const third = send(1 << 20);
  await carry(left, right);
  expect(await second).toEqual(failing('overloaded', 'none', /1 calls with 2097152 bytes/));
  slow.release('done');
  await carry(left, right);
  expect((await Promise.all([first, third])).map(({ head }) => head)).toEqual(['done', 'done']);
  const again = [send(2 << 20), send(1 << 20)];
  await carry(left, right);
  expect((await Promise.all(again)).map(({ head }) => head)).toEqual(['done', 'done']);
});

describe('an event', () => {
  test('reaches its handler, and one of a later version does no harm', async () => {
    const clock = new ManualClock();
    const seen: unknown[] = [];
    const events = {
      append: ({ head, data }: Message) => {
        seen.push(head, [...data]);
      },
    };
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { events })];
    left.link.event('future', 1);
    left.link.event('__proto__', 1);
    left.link.event('append', { last: 3 }, Uint8Array.from([9]));
    await carry(left, right);
    expect(seen).toEqual([{ last: 3 }, [9]]);
    expect(right.failures).toEqual([]);
  });

  test('whose handler fails leaves the link open; the log has it', async () => {
    const clock = new ManualClock();
    const events = {
      bad: ({ head }: Message) => {
        readHead(v.object({ last: v.number() }), 'bad', head);
      },
    };
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { events })];
    left.link.event('bad', { last: 'x' });
    await carry(left, right);
    expect(right.failures).toMatchObject([
      { type: 'bad', thrown: { code: 'bad-request', message: /'bad', last: / } },
    ]);
    expect(right.link.isOpen).toBe(true);
  });
});

describe('the end of a link', () => {
  test('by garbage says why, in what a close frame holds', () => {
    const clock = new ManualClock();
    const side = sideOf('a', clock);
    side.link.receive(new Uint8Array(100));
    side.link.receive(new Uint8Array(100));
    expect(side.closes).toEqual([{ code: 4400, reason: 'no frame: it does not begin with A7 01' }]);
    expect(side.ends).toEqual(['no frame: it does not begin with A7 01']);
    const other = sideOf('a', clock);
    other.link.close(4409, `é${'x'.repeat(200)}`);
    expect(other.closes[0]?.reason).toBe(`?${'x'.repeat(119)}...`);
  });

  test('leaves what was sent with an unknown outcome, and sends nothing more', async () => {
    const clock = new ManualClock();
    const side = sideOf('a', clock);
    const waiting = refusalOf(side.link.call('write', null));
    side.sent.length = 0;
    side.link.closed('the other side went away');
    side.link.closed('again');
    expect(await waiting).toEqual(failing('unavailable', 'unknown', /before it answered 'write'/));
    await expect(side.link.call('write', null)).rejects.toEqual(failing('unavailable', 'none', /went away/));
    side.link.event('append', null);
    expect([side.sent, side.ends, clock.waiting]).toEqual([[], ['the other side went away'], 0]);
  });

  test('comes when its socket takes nothing', async () => {
    const clock = new ManualClock();
    const side = sideOf('a', clock);
    side.sent.push = () => {
      throw new Error('broken pipe');
    };
    await expect(side.link.call('write', null)).rejects.toEqual(
      failing('unavailable', 'unknown', /broken pipe/),
    );
    expect(side.link.isOpen).toBe(false);
  });

  test('makes nobody answer who still works', async () => {
    const clock = new ManualClock();
    const slow = held();
    const [left, right] = [sideOf('a', clock), sideOf('b', clock, { calls: { slow: slow.handler } })];
    void refusalOf(left.link.call('slow', null));
    await carry(left, right);
    right.link.closed('gone');
    slow.release(null);
    await new Promise((resolve) => setImmediate(resolve));
    expect(right.sent).toEqual([]);
    expect(right.failures).toEqual([]);
  });
});
