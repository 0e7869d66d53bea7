import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitId } from '../../../src/base/brand.ts';
import { readHead } from '../../../src/core/log/tables.ts';
import type { Replica } from '../../../src/core/replica/replica.ts';
import {
  type ComparisonAnswer,
  ComparisonSource,
  KEPT_MS,
  SILENT_MS,
  STEP_PAUSE_MS,
} from '../../../src/core/replication/comparison-source.ts';
import { LocalCluster } from '../../harness/local-cluster.ts';

const ROOT = [{ table: 'note', level: 0, index: 0 }];
/** About 1.2 MB of rows: five steps. */
const ROWS = 60;

let cluster: LocalCluster;
let replica: Replica;
let source: ComparisonSource;
let now: number;

beforeEach(() => {
  cluster = new LocalCluster();
  cluster.schema('CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)');
  for (let i = 0; i < ROWS; i++) cluster.run('INSERT INTO note (text) VALUES (?)', [`${i}`.repeat(10_000)]);
  replica = cluster.replica(1);
  source = new ComparisonSource(() => replica);
  now = 1_000_000;
});

const last = (): CommitId => readHead(replica.port).lastCommitId;
const ask = (host: string, at: CommitId, question = ROOT): ComparisonAnswer =>
  source.ask(host, at, question, now);

/** Asks until all is counted; `between` happens before each question. */
function counted(host: string, at: CommitId, between: () => void = () => undefined) {
  for (let asked = 1; ; asked++) {
    between();
    now += STEP_PAUSE_MS;
    const answer = ask(host, at);
    if (answer.kind !== 'counting') return { answer, asked };
  }
}

describe('the leader of a comparison', () => {
  test('counts a step for each question, and gives the same digests whatever is written meanwhile', () => {
    const at = last();
    const quiet = counted('a', at);
    expect(quiet.asked).toBeGreaterThan(3);
    expect(quiet.answer).toMatchObject({
      kind: 'answer',
      digests: [expect.stringMatching(/^[0-9a-f]{32}$/)],
    });
    source = new ComparisonSource(() => replica);
    const busy = counted('a', at, () =>
      cluster.run(
        "UPDATE note SET text = text || '.' WHERE id IN (SELECT id FROM note ORDER BY id DESC LIMIT 3)",
      ),
    );
    expect(busy.answer).toEqual(quiet.answer);
    source = new ComparisonSource(() => replica);
    expect(counted('a', last()).answer).not.toEqual(quiet.answer);
  });

  test('does nothing for questions that follow each other too closely', () => {
    const { asked } = counted('a', last());
    source = new ComparisonSource(() => replica);
    for (let i = 0; i < 10 * asked; i++) expect(ask('a', last())).toEqual({ kind: 'counting' });
    expect(counted('a', last()).asked).toBe(asked - 1);
  });

  test('compares with one follower at a time, and with the next when that one is silent', () => {
    const at = last();
    ask('a', at);
    cluster.run('DELETE FROM note WHERE id = (SELECT min(id) FROM note)');
    expect(ask('b', last())).toEqual({ kind: 'busy' });
    now += SILENT_MS - 1;
    expect(ask('b', last())).toEqual({ kind: 'busy' });
    now += 1;
    expect(ask('b', last())).toEqual({ kind: 'counting' });
    expect(ask('a', at)).toEqual({ kind: 'busy' });
  });

  test('keeps what it has counted for a while only, however often it is asked', () => {
    const at = last();
    counted('a', at);
    const until = now + KEPT_MS;
    expect(source.expiresAt).toBe(now + SILENT_MS);
    for (; now < until; now += SILENT_MS / 2) expect(ask('a', at).kind).toBe('answer');
    expect(ask('a', at)).toEqual({ kind: 'counting' });
    source.expire(now + SILENT_MS);
    expect(source.expiresAt).toBeNull();
  });

  test('begins anew at a newer commit when its follower names one', () => {
    ask('a', last());
    cluster.run('DELETE FROM note WHERE id = (SELECT min(id) FROM note)');
    expect(counted('a', last()).answer.kind).toBe('answer');
  });

  test('says that a commit is gone whose schema was another one, or that is not there', () => {
    const at = last();
    expect(ask('a', at).kind).toBe('counting');
    cluster.schema('ALTER TABLE note ADD COLUMN more INTEGER DEFAULT 1');
    now += STEP_PAUSE_MS;
    expect(ask('a', at)).toEqual({ kind: 'gone' });
    expect(ask('a', at)).toEqual({ kind: 'gone' });
    expect(ask('a', (last() + 1) as CommitId)).toEqual({ kind: 'gone' });
    expect(counted('a', last()).answer.kind).toBe('answer');
  });

  test('says so, too, when the entry of that commit is no longer kept', () => {
    const at = last();
    cluster.schema('ALTER TABLE note ADD COLUMN more INTEGER DEFAULT 1');
    cluster.run('UPDATE note SET more = 2 WHERE id = (SELECT min(id) FROM note)');
    replica.port.query('UPDATE _atoll_head SET first_commit_id = ?', at + 1);
    expect(ask('a', at)).toEqual({ kind: 'gone' });
  });
});
