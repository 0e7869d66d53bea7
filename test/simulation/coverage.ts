/** What the runs have met; what none has met was not tested. */
export const COVERAGE = [
  // Of clients.
  'transactions',
  'committed',
  'failed',
  'unknown',
  'conflicts',
  'retries',
  'settledByRetry',
  'answeredAgain',
  'interactive',
  'interactiveCommitted',
  'rolledBack',
  'imports',
  'pastReads',
  'pastReadsAgain',
  'sessionReads',
  'schemaChanges',
  'schemaChangesRefused',
  'rebuilds',
  // Of the nemesis.
  'crashes',
  'evictions',
  'superseded',
  'outages',
  'trapped',
  'routerDeaths',
  'cuts',
  'swizzles',
  'slowLinks',
  'stragglers',
  'clockJumps',
  'messagesLost',
  'messagesRefused',
  'answersLost',
  'messagesRepeated',
  // Of partitions.
  'prepares',
  'decisions',
  'applies',
  'aborts',
  'recoveries',
  'commitsByRecovery',
  'abortsByRecovery',
  'barriers',
  'certified',
  'uncertified',
  'duplicates',
  'executesTogether',
  'preparesTogether',
  // Of copies.
  'snapshots',
  'followed',
  'followerReads',
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
