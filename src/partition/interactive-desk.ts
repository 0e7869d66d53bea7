import type {
  InteractiveBegin,
  InteractiveMessage,
  InteractiveStatement,
  ScriptCommit,
  ScriptEnd,
  ScriptFateRequest,
  ScriptRun,
} from '../protocol/interactive.ts';
import { Keeper, type KeeperOptions } from './keeper.ts';
import { deadlineOf } from './patience.ts';
import { ScriptDesk, type ScriptDeskOptions } from './script-desk.ts';

/** The messages of interactive transactions: docs/protocol.md. From routers to their keeper, and from there to who executes. */
export class InteractiveDesk {
  readonly #handlers: Readonly<Record<string, (body: never, deadline: number) => unknown>>;

  constructor(options: ScriptDeskOptions & Omit<KeeperOptions, 'scripts'>) {
    const scripts = new ScriptDesk(options);
    const keeper = new Keeper({ ...options, scripts });
    this.#handlers = {
      'interactive-begin': (body: InteractiveBegin) => keeper.begin(body),
      'interactive-statement': (body: InteractiveStatement, deadline) => keeper.statement(body, deadline),
      'interactive-commit': (body: InteractiveMessage, deadline) => keeper.commit(body, deadline),
      'interactive-rollback': (body: InteractiveMessage) => keeper.rollback(body),
      'script-run': (body: ScriptRun, deadline) => scripts.run(body, deadline),
      'script-commit': (body: ScriptCommit, deadline) => scripts.commit(body, deadline),
      'script-end': (body: ScriptEnd) => scripts.end(body),
      'script-fate': (body: ScriptFateRequest) => scripts.fate(body),
    };
  }

  /** Makes the messages known, by their paths. */
  serve(add: (path: string, handle: (incoming: Request) => Promise<Response>) => unknown): void {
    for (const type of Object.keys(this.#handlers))
      add(`/${type}`, (incoming) => this.#answer(type, incoming));
  }

  async #answer(type: string, incoming: Request): Promise<Response> {
    const deadline = deadlineOf(incoming);
    const handle = this.#handlers[type] as (body: unknown, deadline: number) => unknown;
    return Response.json((await handle(await incoming.json(), deadline)) ?? {});
  }
}
