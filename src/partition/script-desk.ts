import { assert } from '../base/assert.ts';
import type { Work } from '../core/replica/group.ts';
import type { Replica } from '../core/replica/replica.ts';
import { scriptCommitWork, scriptFate, scriptRunWork } from '../core/replica/script-work.ts';
import type {
  ScriptAnswer,
  ScriptCommit,
  ScriptEnd,
  ScriptFate,
  ScriptFateRequest,
  ScriptRun,
} from '../protocol/interactive.ts';
import type { Settled } from './prepare-here.ts';

export interface ScriptDeskOptions {
  readonly replica: () => Replica;
  /** Does work in the next group, and again while others hold what it needs. */
  readonly perform: (work: Work, deadline: number) => Promise<Settled>;
}

/** What a partition does for interactive transactions: docs/protocol.md, Interactive transactions. */
export class ScriptDesk {
  readonly #options: ScriptDeskOptions;

  constructor(options: ScriptDeskOptions) {
    this.#options = options;
  }

  /** @throws AtollError that is no answer to the statement */
  async run(request: ScriptRun, deadline: number): Promise<ScriptAnswer> {
    return JSON.parse(await this.#perform(scriptRunWork(this.#here, request), deadline)) as ScriptAnswer;
  }

  /** The reply whose session has seen the commit, JSON text. @throws AtollError */
  async commit(request: ScriptCommit, deadline: number): Promise<{ readonly reply: string }> {
    const work = scriptCommitWork(this.#here, request, Date.now());
    return { reply: await this.#perform(work, deadline) };
  }

  end({ name }: ScriptEnd): void {
    this.#here.scripts.remove(name);
  }

  fate(request: ScriptFateRequest): ScriptFate {
    return scriptFate(this.#here, request);
  }

  async #perform(work: Work, deadline: number): Promise<string> {
    const outcome = await this.#options.perform(work, deadline);
    if (outcome.kind === 'error') throw outcome.error;
    assert(outcome.kind === 'done', 'a script that is stale conflicts');
    return outcome.body;
  }

  get #here(): Replica {
    return this.#options.replica();
  }
}
