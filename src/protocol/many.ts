import { AtollError } from './error.ts';

/** A longer `execute` goes by itself, characters (chosen: a statement with its arguments, and not a load of rows). */
export const ONE_LENGTH_MAX = 16 * 1024;
/** A read whose answer is longer is answered by itself, characters: nobody else waits for it, and a router hands it on as it comes (chosen). */
export const ANSWER_LENGTH_MAX = 64 * 1024;

/** What one of the requests would have been answered by itself; null: it would have to wait, and nothing of it was done. */
export type OneAnswer = { readonly status: number; readonly body: string } | null;

/**
 * Router → partition, `execute-many`: what several clients ask of a partition at the same time, each as it would be by itself: its own fate, its own answer.
 * `requests`: bodies of `execute`. JSON text in one line each, as the answers are: https://github.com/ndjson/ndjson-spec.
 */
export function encodeMany(requests: readonly string[]): string {
  return requests.join('\n');
}

export function decodeMany(text: string): unknown[] {
  return text.split('\n').map((line) => JSON.parse(line) as unknown);
}

/** The first line has each one's HTTP status, or null; then follow the bodies of those that have one. */
export function encodeAnswers(answers: readonly OneAnswer[]): string {
  const lines = [JSON.stringify(answers.map((answer) => answer?.status ?? null))];
  for (const answer of answers) if (answer !== null) lines.push(answer.body);
  return lines.join('\n');
}

/** @throws AtollError `unavailable`, `unknown`: what was answered is not for so many requests */
export function decodeAnswers(text: string, count: number): OneAnswer[] {
  const [head = '', ...bodies] = text.split('\n');
  const statuses = JSON.parse(head) as (number | null)[];
  const answered = statuses.filter((status) => status !== null);
  if (statuses.length !== count || answered.length !== bodies.length)
    throw new AtollError('unavailable', `${count} requests were sent, and other answers came`, 'unknown');
  let next = 0;
  return statuses.map((status) => (status === null ? null : { status, body: bodies[next++] as string }));
}
