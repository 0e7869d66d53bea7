import { assert, present } from '../../../src/base/assert.ts';
import { assertWellFormed, type History, type Id, nameOf, type Transaction } from './history.ts';

export type RegisterStep =
  /** `null`: there is nothing. */
  | { readonly kind: 'read'; readonly key: Id; readonly value: Id | null }
  | { readonly kind: 'write'; readonly key: Id; readonly value: Id }
  /** A refusal is an answer, `ok` with `swapped` false; that it may not have run at all is `info`. */
  | {
      readonly kind: 'compare-and-set';
      readonly key: Id;
      readonly expected: Id | null;
      readonly value: Id;
      readonly swapped: boolean;
    };

type Register = Transaction<RegisterStep>;

/** Only `linearizable` is a pass: a budget that was exhausted has shown nothing. */
export type LinearizableOutcome = 'linearizable' | 'violation' | 'budget exhausted';

export interface LinearizableVerdict {
  /** `violation` if a key has one, else `budget exhausted` if a key had no end. */
  readonly outcome: LinearizableOutcome;
  /** Of the keys that did not pass, in words. */
  readonly messages: readonly string[];
  /** Of the search, all keys together: for the sizing of workloads. */
  readonly steps: number;
}

/**
 * Steps of the search for one key. Chosen: some ten seconds; labelled histories of etcd took 1.4 million at most. The
 * problem is NP-complete: few clients a key and few writes of unknown outcome keep it easy.
 */
const STEPS_MAX = 5_000_000;

/**
 * Whether each key behaves like one register. Each transaction is of one step: a register for each key says nothing of
 * transactions over several.
 */
export function checkLinearizable(
  history: History<RegisterStep>,
  initial: Id | null = null,
  stepsMax = STEPS_MAX,
): LinearizableVerdict {
  assertWellFormed(history);
  for (const operation of history)
    assert(operation.steps.length === 1, () => `${nameOf(operation)} has one step`);
  const byKey = Map.groupBy(history, (operation) => stepOf(operation).key);
  const found = [...byKey].map(([key, operations]) => checkKey(key, operations, initial, stepsMax));
  const failed = found.filter(({ outcome }) => outcome !== 'linearizable');
  return {
    outcome:
      failed.find(({ outcome }) => outcome === 'violation')?.outcome ?? failed[0]?.outcome ?? 'linearizable',
    messages: failed.map(({ message }) => message),
    steps: found.reduce((sum, { steps }) => sum + steps, 0),
  };
}

/** The call or the return of an operation, in a list of those that are not in the order yet. */
interface Event {
  readonly operation: number;
  readonly time: number;
  readonly isCall: boolean;
  previous: Event | null;
  next: Event | null;
  /** Of a call; null for what never returned. */
  readonly returns: Event | null;
}

interface KeyVerdict {
  readonly outcome: LinearizableOutcome;
  readonly message: string;
  readonly steps: number;
}

/**
 * Tries orders, deepest first, and no set of operations twice with the same state. J. Wing and C. Gong (1993), with the
 * memory of G. Lowe (2017), on a linked list as in A. Athalye's Porcupine.
 */
function checkKey(key: Id, history: readonly Register[], initial: Id | null, stepsMax: number): KeyVerdict {
  const operations = history
    .filter(({ outcome, steps }) => outcome === 'ok' || (outcome === 'info' && steps[0]?.kind !== 'read'))
    .sort((a, b) => a.called - b.called);
  const head = eventsOf(operations);
  const done = new DoneSet(operations);
  const seen = new Set<string>();
  const stack: { readonly call: Event; readonly state: Id | null }[] = [];
  const states = new Map<Id | null, number>();
  let state = initial;
  let current = head.next;
  let deepest = { done: -1, stuck: null as Event | null, state };
  for (let steps = 0; ; steps++) {
    if (done.isComplete) return { outcome: 'linearizable', message: '', steps };
    if (steps >= stepsMax) {
      const message = `key ${key}: ${operations.length} operations, no verdict after ${steps} steps`;
      return { outcome: 'budget exhausted', message, steps };
    }
    if (current?.isCall) {
      const operation = present(operations[current.operation], 'an operation');
      const after = apply(operation, state);
      if (after !== 'impossible') {
        done.add(current.operation);
        if (!states.has(after)) states.set(after, states.size);
        const configuration = `${done.fingerprint()};${states.get(after)}`;
        if (!seen.has(configuration)) {
          seen.add(configuration);
          stack.push({ call: current, state });
          unlink(current);
          state = after;
          current = head.next;
          continue;
        }
        done.remove(current.operation);
      }
      current = current.next;
      continue;
    }
    if (stack.length > deepest.done) deepest = { done: stack.length, stuck: current, state };
    const last = stack.pop();
    if (last === undefined) {
      const stuck = present(deepest.stuck, 'an operation that must return');
      const operation = present(operations[stuck.operation], 'an operation');
      const message = `key ${key}: no order explains ${nameOf(operation)} ${inWords(operation)}; the longest has ${deepest.done} operations before it and leaves ${deepest.state ?? 'nothing'}`;
      return { outcome: 'violation', message, steps };
    }
    done.remove(last.call.operation);
    relink(last.call);
    state = last.state;
    current = last.call.next;
  }
}

/** What is in the order so far; small to write down, as operations are done nearly in the order of their calls. */
class DoneSet {
  readonly #isDone: boolean[];
  readonly #isInfo: boolean[];
  #infos = 0n;
  #left: number;
  /** All `ok` operations before are done. */
  #firstLeft = 0;
  /** No operation from here on is done, unless it is an `info`. */
  #end = 0;

  constructor(operations: readonly Register[]) {
    this.#isDone = operations.map(() => false);
    this.#isInfo = operations.map(({ outcome }) => outcome === 'info');
    this.#left = this.#isInfo.filter((isInfo) => !isInfo).length;
  }

  /** Infos need not happen. */
  get isComplete(): boolean {
    return this.#left === 0;
  }

  add(operation: number): void {
    this.#isDone[operation] = true;
    if (this.#isInfo[operation]) this.#infos |= 1n << BigInt(operation);
    else this.#left--;
    this.#end = Math.max(this.#end, operation + 1);
    while (this.#isDone[this.#firstLeft] || this.#isInfo[this.#firstLeft]) this.#firstLeft++;
  }

  remove(operation: number): void {
    this.#isDone[operation] = false;
    if (this.#isInfo[operation]) this.#infos &= ~(1n << BigInt(operation));
    else {
      this.#left++;
      this.#firstLeft = Math.min(this.#firstLeft, operation);
    }
    while (this.#end > 0 && !this.#isDone[this.#end - 1]) this.#end--;
  }

  fingerprint(): string {
    let text = `${this.#firstLeft}`;
    for (let i = this.#firstLeft + 1; i < this.#end; i++)
      if (this.#isDone[i] && !this.#isInfo[i]) text += ` ${i}`;
    return this.#infos === 0n ? text : `${text};${this.#infos.toString(36)}`;
  }
}

function eventsOf(operations: readonly Register[]): Event {
  const at = (operation: number, time: number, isCall: boolean, returns: Event | null): Event => {
    return { operation, time, isCall, previous: null, next: null, returns };
  };
  const events = operations.flatMap(({ called, returned }, i) => {
    const end = Number.isFinite(returned) ? at(i, returned, false, null) : null;
    const call = at(i, called, true, end);
    return end === null ? [call] : [call, end];
  });
  // Calls first at equal times: those are concurrent.
  events.sort((a, b) => a.time - b.time || Number(b.isCall) - Number(a.isCall));
  const head = at(-1, Number.NEGATIVE_INFINITY, false, null);
  let last = head;
  for (const event of events) {
    last.next = event;
    event.previous = last;
    last = event;
  }
  return head;
}

function unlink(call: Event): void {
  for (const event of call.returns === null ? [call] : [call, call.returns]) {
    if (event.previous !== null) event.previous.next = event.next;
    if (event.next !== null) event.next.previous = event.previous;
  }
}

/** Undoes the last `unlink` that is not undone: both events still know their places. */
function relink(call: Event): void {
  for (const event of call.returns === null ? [call] : [call.returns, call]) {
    if (event.previous !== null) event.previous.next = event;
    if (event.next !== null) event.next.previous = event;
  }
}

/** The state after it. The answer of an `info` never came, so that it excludes nothing. */
function apply(operation: Register, state: Id | null): Id | null | 'impossible' {
  const step = stepOf(operation);
  if (step.kind === 'write') return step.value;
  if (step.kind === 'read') return step.value === state ? state : 'impossible';
  const swaps = state === step.expected;
  if (operation.outcome === 'ok' && swaps !== step.swapped) return 'impossible';
  return swaps ? step.value : state;
}

function stepOf(operation: Register): RegisterStep {
  return present(operation.steps[0], () => `${nameOf(operation)} has a step`);
}

function inWords(operation: Register): string {
  const step = stepOf(operation);
  if (step.kind === 'read') return `reading ${step.value ?? 'nothing'}`;
  if (step.kind === 'write') return `writing ${step.value}`;
  return `${step.swapped ? 'swapping' : 'not swapping'} ${step.expected ?? 'nothing'} for ${step.value}`;
}
