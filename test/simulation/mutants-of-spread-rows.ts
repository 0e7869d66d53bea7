import type { Mutant } from './mutant.ts';

/** Of what rows of one partition make in others: entries of indexes, references, ids, moves. */
export const MUTANTS_OF_SPREAD_ROWS: readonly Mutant[] = [
  {
    name: 'a later wave forgets what was prepared before it',
    file: 'src/core/replica/later-wave.ts',
    find: '    applyOrDie(port, before);',
    replace: '',
  },
  {
    name: 'a later wave takes no locks of its own',
    file: 'src/core/replica/later-wave.ts',
    find: '  const locks = [...(former?.locks ?? []), ...needed, ...refuseChanged(replica, request, changes)];',
    replace: '  const locks = former?.locks ?? [];',
  },
  {
    name: 'entries of rows that go are left in the index',
    file: 'src/core/replica/unique-entries.ts',
    find: '    ...noted.filter(({ count }) => count < 0)',
    replace: '    ...noted.filter(({ count }) => count < -1)',
  },
  {
    name: 'a look-up believes an index whose row has moved',
    file: 'src/gateway/lookup.ts',
    find: '    if (exists && there?.rows.length === 0) continue;',
    replace: '',
  },
  {
    name: 'a look-up does not wait for who is about to change the entry',
    workload: 'people',
    file: 'src/core/replica/lookup.ts',
    find: "  if (holders.length > 0) return { kind: 'locked', holders };",
    replace: '',
  },
  {
    name: 'nobody looks whether a new reference has a parent',
    file: 'src/core/replica/references.ts',
    find: '      if (index.table.id === tableId && after !== null) suspect(',
    replace: '      if (index.table.id === tableId && after !== null && width === 0) suspect(',
  },
  {
    name: 'nobody looks who refers to a parent that goes',
    file: 'src/core/replica/references.ts',
    find: '      suspect(index, keyIn(before));',
    replace: '',
  },
  {
    name: 'partitions do not look whether a row has an id that is given elsewhere',
    workload: 'given-ids',
    file: 'src/core/replica/claims.ts',
    find: '      const present = elsewhere.find((each) => hasRow(this.#replica, table, each));',
    replace:
      '      const present = elsewhere.find((each) => each < 0n && hasRow(this.#replica, table, each));',
  },
  {
    name: 'ids that are given are generated afterwards',
    workload: 'given-ids',
    file: 'src/core/replica/claims.ts',
    find: '      this.#replica.identifiers.giveUpIdentifiers(table, ids);',
    replace: '',
  },
  {
    name: 'an id is given although a row with it is about to come',
    workload: 'given-ids',
    file: 'src/core/transaction/footprint.ts',
    find: '  return [...rows, ...coming];',
    replace: '  return coming.length < 0 ? coming : rows;',
  },
  {
    name: 'an id is given that an interactive transaction has generated',
    workload: 'given-ids',
    file: 'src/core/replica/claims.ts',
    find: '      if (open !== undefined) {',
    replace: '      if (open !== undefined && open < 0n) {',
  },
  {
    name: 'reference tables are written beside others without a freeze',
    workload: 'copies',
    file: 'src/partition/reference-writes.ts',
    find: '    const run = Promise.allSettled(before).then(() => this.#frozen(freeze, deadline, write));',
    replace: '    const run = Promise.allSettled(before).then(() => write());',
  },
  {
    name: 'parts beside a write of a reference table do not find what it writes',
    workload: 'copies',
    file: 'src/core/replica/participant.ts',
    find: '  if (request.references !== undefined) receiveReferences(',
    replace: '  if (request.references === null) receiveReferences(',
  },
  {
    name: 'a decision that writes a reference table is not in the feed',
    workload: 'copies',
    file: 'src/core/replica/anchor.ts',
    find: "    replica.appendWritten('decide', now, {",
    replace: "    replica.append('decide', null, now, {",
  },
  {
    name: 'rows come without those of reference tables that were written beside them',
    workload: 'copies',
    file: 'src/partition/transactions.ts',
    find: '    if (follows && end.commitTimestamp !== null) await this.#options.feed.followOwn(end.transaction);',
    replace: '',
  },
];
