/** What a run must have met; a zero over all seeds fails. */
export const COVERAGE = [
  'writes',
  'refused',
  'groups',
  'crashes',
  'faults',
  'evictions',
  'published',
  'withdrawn',
  'refusedHere',
  'catchUps',
  'holds',
  'retries',
  'undone',
  'lost',
  'repeated',
  'late',
  'restartedWhileDeciding',
] as const;
export type Coverage = Record<(typeof COVERAGE)[number], number>;
