/**
 * What a host is to the others, and what may become of it: a total table, every status against every event. Who
 * raises an event has judged the facts (`core/replica/hosts.ts`); here is only what follows.
 *
 * ```
 *  proposal ──accepted──▶ inactive ──caught-up──▶ read ──promoted──▶ write
 *     │                     ▲  ▲  ◀──silent, fell-behind, …──┘─────────┘
 *  refused                  │  └──reliable── unavailable ◀──unreliable── (inactive, read, write)
 *     └──proposed anew──▶ proposal ◀──proposed anew── removed ◀──removed, away-too-long── (all accepted)
 * ```
 */

/** `proposal`: waits for votes. The next four are accepted; `refused` and `removed` are ends. */
export const HOST_STATUSES = [
  'proposal',
  /** Catching up, away, or drained: nobody sends it reads. */
  'inactive',
  /** Its replicas are in sync: it answers reads. */
  'read',
  /** It also leads partitions, or votes on their commits. */
  'write',
  /** Failed so often that nobody asks it until it has proved better. */
  'unavailable',
  'refused',
  'removed',
] as const;
export type HostStatus = (typeof HOST_STATUSES)[number];

export const HOST_EVENTS = [
  /** It asks to be a member, for the first time or again after its end. */
  'proposed',
  /** A majority of the present hosts, or an operator, wants it. */
  'accepted',
  'refused',
  /** Every replica that it should have is in sync. */
  'caught-up',
  /** One that it had in sync no longer is, or its data is gone. */
  'fell-behind',
  /** It became a voter or a leader of some partition, or ceased to be one of any. */
  'promoted',
  'demoted',
  /** Nothing was heard of it for a while; something was. */
  'silent',
  'heard-from',
  /** Its unreliability score went over, and back under, the limit. */
  'unreliable',
  'reliable',
  /** Its clock is too far from the system partition's to date anything. */
  'clock-off',
  /** An operator wanted its replicas elsewhere, and they are. */
  'drained',
  /** An operator ends its membership. */
  'removed',
  /** Away beyond the threshold: it loses its identifier range and must be accepted again. */
  'away-too-long',
] as const;
export type HostEvent = (typeof HOST_EVENTS)[number];

export const TRANSITION_REFUSALS = {
  'not-accepted': 'the host is only proposed: it must be accepted first',
  'accepted-already': 'the host is a member already; remove it to end that',
  'proposed-already': 'the host has proposed itself already, and is being voted on',
  'is-behind': 'the host has not caught up',
  'is-unreliable': 'the host is unavailable until it has proved reliable again',
  'is-present': 'the host was heard from too lately for that',
  'must-propose-again': 'the host is no member any more: it must propose itself again',
} as const;
export type TransitionRefusal = keyof typeof TRANSITION_REFUSALS;

export type Transition =
  | { readonly kind: 'to'; readonly status: HostStatus }
  | { readonly kind: 'refused'; readonly reason: TransitionRefusal };

const no = (reason: TransitionRefusal): Transition => ({ kind: 'refused', reason });
const to = (status: HostStatus): Transition => ({ kind: 'to', status });

/** A host that is no member can do nothing but propose itself. */
const ENDED: Readonly<Record<HostEvent, Transition>> = {
  proposed: to('proposal'),
  accepted: no('must-propose-again'),
  refused: no('must-propose-again'),
  'caught-up': no('must-propose-again'),
  'fell-behind': no('must-propose-again'),
  promoted: no('must-propose-again'),
  demoted: no('must-propose-again'),
  silent: no('must-propose-again'),
  'heard-from': no('must-propose-again'),
  unreliable: no('must-propose-again'),
  reliable: no('must-propose-again'),
  'clock-off': no('must-propose-again'),
  drained: no('must-propose-again'),
  removed: no('must-propose-again'),
  'away-too-long': no('must-propose-again'),
};

export const TRANSITIONS: Readonly<Record<HostStatus, Readonly<Record<HostEvent, Transition>>>> = {
  proposal: {
    proposed: no('proposed-already'),
    accepted: to('inactive'),
    refused: to('refused'),
    'caught-up': no('not-accepted'),
    'fell-behind': no('not-accepted'),
    promoted: no('not-accepted'),
    demoted: no('not-accepted'),
    // Its deadline ends a proposal, not its silence.
    silent: to('proposal'),
    'heard-from': to('proposal'),
    unreliable: no('not-accepted'),
    reliable: no('not-accepted'),
    'clock-off': to('refused'),
    drained: no('not-accepted'),
    removed: to('removed'),
    'away-too-long': no('not-accepted'),
  },
  inactive: {
    proposed: no('accepted-already'),
    accepted: no('accepted-already'),
    refused: no('accepted-already'),
    'caught-up': to('read'),
    'fell-behind': to('inactive'),
    promoted: no('is-behind'),
    demoted: to('inactive'),
    silent: to('inactive'),
    // Back, but what it missed it must fetch first.
    'heard-from': to('inactive'),
    unreliable: to('unavailable'),
    reliable: to('inactive'),
    'clock-off': to('inactive'),
    drained: to('inactive'),
    removed: to('removed'),
    'away-too-long': to('removed'),
  },
  read: {
    proposed: no('accepted-already'),
    accepted: no('accepted-already'),
    refused: no('accepted-already'),
    'caught-up': to('read'),
    'fell-behind': to('inactive'),
    promoted: to('write'),
    demoted: to('read'),
    silent: to('inactive'),
    'heard-from': to('read'),
    unreliable: to('unavailable'),
    reliable: to('read'),
    'clock-off': to('inactive'),
    drained: to('inactive'),
    removed: to('removed'),
    'away-too-long': no('is-present'),
  },
  write: {
    proposed: no('accepted-already'),
    accepted: no('accepted-already'),
    refused: no('accepted-already'),
    'caught-up': to('write'),
    'fell-behind': to('inactive'),
    promoted: to('write'),
    demoted: to('read'),
    silent: to('inactive'),
    'heard-from': to('write'),
    unreliable: to('unavailable'),
    reliable: to('write'),
    'clock-off': to('inactive'),
    drained: to('inactive'),
    removed: to('removed'),
    'away-too-long': no('is-present'),
  },
  unavailable: {
    proposed: no('accepted-already'),
    accepted: no('accepted-already'),
    refused: no('accepted-already'),
    'caught-up': no('is-unreliable'),
    'fell-behind': to('unavailable'),
    promoted: no('is-unreliable'),
    demoted: to('unavailable'),
    silent: to('unavailable'),
    'heard-from': to('unavailable'),
    unreliable: to('unavailable'),
    // What it missed meanwhile it must fetch first.
    reliable: to('inactive'),
    'clock-off': to('unavailable'),
    drained: to('unavailable'),
    removed: to('removed'),
    'away-too-long': to('removed'),
  },
  refused: ENDED,
  removed: ENDED,
};

export function transition(status: HostStatus, event: HostEvent): Transition {
  return TRANSITIONS[status][event];
}

/** No member, and none to be: the host may only propose itself again. */
export function isEnd(status: HostStatus): boolean {
  return status === 'refused' || status === 'removed';
}

/** A member, present or not. */
export function isAccepted(status: HostStatus): boolean {
  return status !== 'proposal' && !isEnd(status);
}

/** Answers reads from its replicas. */
export function servesReads(status: HostStatus): boolean {
  return status === 'read' || status === 'write';
}

export function isHostStatus(text: string): text is HostStatus {
  return (HOST_STATUSES as readonly string[]).includes(text);
}
