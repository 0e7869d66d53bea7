/** What the runs have met; what none has met was not tested. */
export const COVERAGE = [
  'transactions',
  'committed',
  'failed',
  'unknown',
  'conflicts',
  'crashes',
  'evictions',
  'superseded',
  'routerDeaths',
  'cuts',
  'clockJumps',
  'messagesLost',
  'answersLost',
  'messagesRepeated',
  'prepares',
  'decisions',
  'applies',
  'aborts',
  'schemaChanges',
  'reads',
  'interactive',
  'interactiveCommitted',
] as const;

export type Coverage = Record<(typeof COVERAGE)[number], number>;

export function noCoverage(): Coverage {
  return Object.fromEntries(COVERAGE.map((name) => [name, 0])) as Coverage;
}

export function addCoverage(total: Coverage, one: Coverage): void {
  for (const name of COVERAGE) total[name] += one[name];
}

export function missing(total: Coverage): string[] {
  return COVERAGE.filter((name) => total[name] === 0);
}
