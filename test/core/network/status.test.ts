import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  HOST_EVENTS,
  HOST_STATUSES,
  type HostEvent,
  type HostStatus,
  isAccepted,
  isEnd,
  isHostStatus,
  servesReads,
  TRANSITION_REFUSALS,
  TRANSITIONS,
  transition,
} from '../../../src/core/network/status.ts';

const event = fc.constantFrom(...HOST_EVENTS);
const status = fc.constantFrom(...HOST_STATUSES);

function statusAfter(from: HostStatus, events: readonly HostEvent[]): HostStatus {
  return events.reduce((current, each) => {
    const next = transition(current, each);
    return next.kind === 'to' ? next.status : current;
  }, from);
}

describe('host statuses', () => {
  test('every status answers every event with a status or a reason', () => {
    expect(Object.keys(TRANSITIONS).sort()).toEqual([...HOST_STATUSES].sort());
    for (const from of HOST_STATUSES) {
      expect(Object.keys(TRANSITIONS[from]).sort()).toEqual([...HOST_EVENTS].sort());
      for (const each of HOST_EVENTS) {
        const next = transition(from, each);
        if (next.kind === 'to') expect(isHostStatus(next.status)).toBe(true);
        else expect(TRANSITION_REFUSALS).toHaveProperty([next.reason]);
      }
    }
  });

  test('a host that was refused or removed stays so until it proposes itself again', () => {
    const end = fc.constantFrom<HostStatus>('refused', 'removed');
    const others = event.filter((each) => each !== 'proposed');
    fc.assert(
      fc.property(end, fc.array(others), (from, events) => {
        expect(statusAfter(from, events)).toBe(from);
        expect(statusAfter(from, [...events, 'proposed'])).toBe('proposal');
      }),
    );
  });

  test('nobody becomes a member without having been accepted', () => {
    const others = event.filter((each) => each !== 'accepted');
    const outside = status.filter((each) => !isAccepted(each));
    fc.assert(
      fc.property(outside, fc.array(others), (from, events) => {
        expect(isAccepted(statusAfter(from, events))).toBe(false);
      }),
    );
  });

  test('nobody serves reads without having caught up since it was last away, behind, off or unreliable', () => {
    const setbacks = [
      'silent',
      'fell-behind',
      'unreliable',
      'clock-off',
      'drained',
      'removed',
      'accepted',
    ] as const;
    const others = event.filter((each) => each !== 'caught-up');
    fc.assert(
      fc.property(status, fc.constantFrom(...setbacks), fc.array(others), (from, setback, events) => {
        const next = transition(from, setback);
        fc.pre(next.kind === 'to');
        expect(servesReads(statusAfter(from, [setback, ...events]))).toBe(false);
      }),
    );
  });

  test('only one that is known to be away can be away too long', () => {
    const ended = HOST_STATUSES.filter((from) => transition(from, 'away-too-long').kind === 'to');
    expect(ended).toEqual(['inactive', 'unavailable']);
    expect(HOST_STATUSES.filter(isEnd)).toEqual(['refused', 'removed']);
  });

  test.each([
    [['proposed', 'accepted', 'caught-up', 'promoted'], 'write'],
    [['proposed', 'refused', 'accepted'], 'refused'],
    [['proposed', 'accepted', 'caught-up', 'silent', 'heard-from'], 'inactive'],
    [['proposed', 'accepted', 'unreliable', 'caught-up'], 'unavailable'],
    [['proposed', 'accepted', 'unreliable', 'reliable', 'caught-up'], 'read'],
    [['proposed', 'accepted', 'silent', 'away-too-long', 'heard-from'], 'removed'],
  ] satisfies [HostEvent[], HostStatus][])('%j leads to %s', (events, expected) => {
    expect(statusAfter('removed', events)).toBe(expected);
  });
});
