/**
 * Planted defects: a piece of unmodified source, and what stands in its place. Each is a bug that others have shipped or
 * that the design warns of; the simulator must find every one, and none of its parts knows them.
 */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Only runs of this workload can show it: others are passed over. */
  readonly workload?: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a participant votes yes before its prepare is logged',
    file: 'src/core/replica/participant.ts',
    find: '  insertPrepared(replica.port,',
    replace: '  if (replica.term < 0) insertPrepared(replica.port,',
  },
  {
    name: 'the coordinator answers before its decision is durable',
    file: 'src/core/replica/anchor.ts',
    find: '    if (participants.length > 0) insertDecision(',
    replace: '    if (participants.length > 99) insertDecision(',
  },
  {
    name: 'recovery presumes abort while the attempt is still decided on',
    file: 'src/core/replica/anchor.ts',
    find: "  return running && term === replica.term ? { state: 'pending' } : { state: 'aborted' };",
    replace: "  return { state: running && term < 0 ? 'pending' : 'aborted' };",
  },
  {
    name: 'in doubt, a participant rolls forward without asking the record',
    file: 'src/partition/transactions.ts',
    find: "      const commitTimestamp = fate.state === 'committed' ? fate.commitTimestamp : null;",
    replace:
      "      const commitTimestamp = fate.state === 'committed' ? fate.commitTimestamp : this.#here.clock.now(Date.now());",
  },
  {
    name: 'in doubt, a participant rolls back without asking the record',
    file: 'src/partition/transactions.ts',
    find: "      if (fate.state === 'pending') return;\n      const commitTimestamp = fate.state === 'committed' ? fate.commitTimestamp : null;",
    replace: '      const commitTimestamp = null;',
  },
  {
    name: 'a decision that was applied stays prepared: a stale lock',
    file: 'src/core/replica/participant.ts',
    find: '  deletePrepared(port, transaction);',
    replace: '  if (commitTimestamp === null) deletePrepared(port, transaction);',
  },
  {
    name: 'local writes do not see the locks of prepared transactions',
    file: 'src/core/replica/replica.ts',
    find: '    if (!this.follows && !this.locks.isEmpty) {',
    replace: '    if (!this.follows && !this.locks.isEmpty && read) {',
  },
  {
    name: 'local reads do not see the locks of prepared transactions',
    file: 'src/core/replica/replica.ts',
    find: '    if (!this.follows && !this.locks.isEmpty) {',
    replace: '    if (!this.follows && !this.locks.isEmpty && !read) {',
  },
  {
    name: 'locks are forgotten by a restart',
    file: 'src/core/replica/prepared.ts',
    find: '  for (const prepared of readPrepared(port)) table.add(prepared, prepared.locks);',
    replace: '',
  },
  {
    name: 'readers of a transaction take no locks',
    file: 'src/core/transaction/footprint.ts',
    find: '  const keys = tokens === null || tokens.length > KEYS_MAX ? [null] : tokens;',
    replace: '  const keys = tokens === null ? [null] : [];',
  },
  {
    name: 'an anchor decides over the locks of others',
    file: 'src/core/replica/anchor.ts',
    find: '    if (holders.length > 0) return waitOrDie(request, holders);',
    replace: '    if (holders.length > 99) return waitOrDie(request, holders);',
  },
  {
    name: 'everybody waits for everybody',
    file: 'src/core/transaction/wait-die.ts',
    find: '  return blockers.every(',
    replace: '  return blockers.length < 99 || blockers.every(',
  },
  {
    name: 'an unknown outcome is reported as a failure',
    file: 'src/gateway/lost.ts',
    find: "  return new AtollError('unknown-outcome', advice",
    replace:
      "  if (message !== '') return new AtollError('unavailable', message, 'none');\n  return new AtollError('unknown-outcome', advice",
  },
  {
    name: 'a write whose answer was lost is blindly sent again',
    file: 'src/gateway/database.ts',
    find: "effect.access === 'read' && lost.code === 'unavailable'",
    replace: 'lost.code !== null',
  },
  {
    name: 'an end that is repeated is applied again',
    file: 'src/core/replica/participant.ts',
    find: '  if (!replica.locks.has(transaction)) return',
    replace: '  if (transaction === null) return',
  },
  {
    name: 'the record of a decision goes before all have applied it',
    file: 'src/partition/transactions.ts',
    find: "      if (told.every(({ status }) => status === 'fulfilled')) {",
    replace: '      if (told.length > 0) {',
  },
  {
    name: 'nobody asks about what is in doubt after a restart',
    file: 'src/partition/transactions.ts',
    find: '    if (this.#hasOpen()) this.#options.wantSettling(now + SETTLE_MS);\n  }\n\n  // --- The anchor',
    replace: '    if (now < 0) this.#options.wantSettling(now + SETTLE_MS);\n  }\n\n  // --- The anchor',
  },
  {
    name: 'the clock starts anew after a restart',
    file: 'src/core/replica/replica.ts',
    find: "      floor: head.lastTimestamp === ('' as Timestamp) ? null : head.lastTimestamp,",
    replace: '      floor: null,',
  },
  {
    name: 'an attempt whose vote is lost counts as one that said yes',
    file: 'src/core/transaction/coordination.ts',
    find: '    if (vote instanceof AtollError) this.#abort ??=',
    replace:
      "    if (vote instanceof AtollError && vote.code === 'unavailable') return this.ruling;\n    if (vote instanceof AtollError) this.#abort ??=",
  },
  {
    name: 'a schema change does not wait for what is prepared',
    file: 'src/partition/feed-follower.ts',
    find: '    await this.#drain(() => this.#replica().locks.holders);',
    replace: '',
  },
  {
    name: 'a commit of an interactive transaction does not look at what others have changed',
    file: 'src/core/replica/script-replay.ts',
    find: '    const stands = !intersect(touched, dirty) && !later.concern(entry);',
    replace: '    const stands = !intersect(touched, dirty) || later !== null;',
  },
  {
    name: 'a commit whose answer was lost counts as one that never was',
    file: 'src/core/replica/script-work.ts',
    find: 'return { committed: true, reply };',
    replace: 'return { committed: false, reply };',
  },
  {
    name: 'a read over partitions is not certified',
    file: 'src/core/replica/certify.ts',
    find: '  return !touchedSince(replica.port, since, ids);',
    replace: '  return true;',
  },
  {
    name: 'certification does not see what is prepared',
    file: 'src/core/replica/certify.ts',
    find: '  if (replica.locks.blockers(shared).length > 0) return false;',
    replace: '',
  },
  {
    name: 'a later wave forgets what was prepared before it',
    file: 'src/core/replica/later-wave.ts',
    find: '    prepareAgain(port, before);',
    replace: '',
  },
  {
    name: 'a later wave takes no locks of its own',
    file: 'src/core/replica/later-wave.ts',
    find: '  const locks = [...(former?.locks ?? []), ...needed, ...refuseChanged(replica, request, changes)];',
    replace: '  const locks = former?.locks ?? [];',
  },
  {
    name: 'the anchor decides before a later wave has voted',
    file: 'src/partition/attempt.ts',
    find: '      if (escapes.length === 0) return',
    replace: '      if (escapes.length === 0 || wave === 1) return',
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
    name: 'copies of a reference table are not frozen before it is written',
    workload: 'copies',
    file: 'src/partition/reference-writes.ts',
    find: "      partitions.map((partition) => this.#call(partition, 'freeze', freeze, milliseconds)),",
    replace: '      partitions.map(async () => milliseconds),',
  },
  {
    name: 'an instance that starts does not ask which copies are frozen',
    workload: 'copies',
    file: 'src/partition/frozen-copies.ts',
    find: '    if (tables.length > 0) replica.locks.freeze(UNKNOWN, tables);',
    replace: '',
  },
  {
    name: 'a freeze does not wait for what is prepared',
    workload: 'copies',
    file: 'src/partition/feed-follower.ts',
    find: '    while (holders().length > 0) await this.#drain(holders);',
    replace: '',
  },
  {
    name: 'a violation in a later wave does not count',
    file: 'src/core/transaction/coordination.ts',
    find: '      if (vote.violated === true) this.#violated.add(partition);',
    replace: '',
  },
  {
    name: 'a write under an idempotency key leaves no record',
    file: 'src/core/replica/replica.ts',
    find: '    if (request.idempotency !== undefined) recordReply(this.port, request.idempotency, answer);',
    replace: '',
  },
  {
    name: 'a transaction under an idempotency key leaves no record',
    file: 'src/core/replica/anchor.ts',
    find: '  if (idempotency !== undefined) recordReply(replica.port, idempotency, JSON.stringify(answered()));',
    replace: '',
  },
  {
    name: 'records of requests are forgotten while clients still ask for them',
    file: 'src/partition/forgetting.ts',
    find: 'forgetOldRequests(this.#replica(), now, REQUEST_ENTRIES)',
    replace: 'forgetOldRequests(this.#replica(), now + 90_000_000, REQUEST_ENTRIES)',
  },
  {
    name: "a decision counts from its anchor's clock alone",
    file: 'src/core/replica/anchor.ts',
    find: '  if (preparedAt !== null) takeNotice(replica, preparedAt, now);',
    replace: '',
  },
  {
    name: 'who applies a decision takes no notice of its moment',
    file: 'src/core/replica/participant.ts',
    find: '  if (commitTimestamp !== null) replica.clock.follow(commitTimestamp, now);',
    replace: '',
  },
  {
    name: 'a read of the past does not wait for what is prepared',
    file: 'src/core/replica/as-of.ts',
    find: "  if (holders.length > 0) return follows ? { kind: 'behind' } : { kind: 'locked', holders };",
    replace: '',
  },
  {
    name: 'a read of the past does not keep later writes out of it',
    file: 'src/core/replica/as-of.ts',
    find: '  if (!passed) takeNotice(replica, at, now);',
    replace: '',
  },
  {
    name: 'that a moment has passed is known in memory alone',
    file: 'src/core/replica/as-of.ts',
    find: "  if (!passed) replica.append('noop', null, now);",
    replace: '',
  },
  {
    name: 'what ROLLBACK TO took back is committed',
    file: 'src/core/replica/script-replay.ts',
    find: '      if (!live && stands) continue;',
    replace: '',
  },
  {
    name: 'a commit of an interactive transaction misses rows that came',
    file: 'src/core/replica/later-changes.ts',
    find: 'locks.some((lock) => conflict({ table, token, exclusive: true }, lock))',
    replace: 'locks.some((lock) => lock.token === token)',
  },
  {
    name: 'a statement that is run again at the commit may answer otherwise',
    file: 'src/core/replica/script-replay.ts',
    find: '  if (fingerprintOf(answer) !== entry.fingerprint || digestOf(apart.escaped) !== entry.escaped)',
    replace: '  if (digestOf(apart.escaped) !== entry.escaped)',
  },
  {
    name: 'a part of an interactive transaction takes no locks',
    file: 'src/core/replica/part.ts',
    find: '    : scriptOf(replica, part.script, now).locks;',
    replace: '    : [];',
  },
  {
    name: 'a keeper that was restarted says that nothing is committed',
    file: 'src/gateway/interactive/end.ts',
    find: '    if (!(error instanceof UnknownTransactionError)) throw error;',
    replace: '    if (error !== null) throw error;',
  },
  {
    name: 'a commit whose keeper cannot be asked is said to have failed',
    file: 'src/gateway/interactive/end.ts',
    find: '  if (!kind.retryable || detail?.transaction !== undefined) return error;',
    replace: '  if (!kind.retryable || detail !== undefined) return error;',
  },
  {
    name: 'an import forgets how far it is',
    file: 'src/core/replica/import.ts',
    find: '  if (id !== null) writeWatermark(context.port, id, head.lastLine);',
    replace: '',
  },
  {
    name: 'writes go on while a schema change is being decided',
    file: 'src/core/replica/obstacle.ts',
    find: "  if (!request.read && hold !== null) return { kind: 'held', proposal: hold };",
    replace: '',
  },
  {
    name: 'a schema change that was withdrawn holds writes for ever',
    file: 'src/partition/feed-follower.ts',
    find: "    if (state === 'withdrawn' && replica.hold === proposal) setHold(replica, null, Date.now());",
    replace: '',
  },
  {
    name: 'a schema change that nobody decides any more stays undecided',
    file: 'src/partition/coordinator.ts',
    find: '    if (undecided !== null) {',
    replace: '    if (undecided !== null && undecided < 0) {',
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
    name: 'what is in doubt is asked for once',
    file: 'src/partition/transactions.ts',
    find: '      this.#settling = false;\n      if (this.#hasOpen()) this.#options.wantSettling(Date.now() + SETTLE_MS);',
    replace: '      this.#settling = false;',
  },
  {
    name: 'an end overtakes the prepare that it ends',
    file: 'src/partition/transactions.ts',
    find: '    void attempt.settled().then(() => this.#release(transaction, attempt.touched));',
    replace: '    this.#release(transaction, attempt.touched);',
  },
  {
    name: 'what a part has changed is not locked',
    file: 'src/core/replica/participant.ts',
    find: '  const locks = changes.length === 0 ? needed : [...needed, ...refuseChanged(replica, request, changes)];',
    replace: '  const locks = needed;',
  },
];
