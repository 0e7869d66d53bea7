import type { Change, Image } from './commit.ts';
import { sameValues } from './encoding.ts';
import { keyText, type Layouts, layoutOf } from './layout.ts';

/** What has become of one row. */
interface Trace {
  /** Its first change. */
  readonly change: Change;
  last: Image | null;
}

/**
 * What changes come to, row by row, for states that are undone again: the log itself keeps every change. Where two rows have
 * exchanged a UNIQUE value the net cannot be applied one by one; the changes themselves can.
 */
export class NetChanges {
  readonly #traces = new Set<Trace>();
  /** Those of rows that are there, by their present keys. */
  readonly #present = new Map<string, Trace>();

  /** They follow those before them. */
  add(changes: readonly Change[], layouts: Layouts): void {
    for (const change of changes) {
      const layout = layoutOf(layouts, change);
      const key = change.before === null ? null : keyText(layout, change.before);
      let trace = key === null ? undefined : this.#present.get(key);
      if (trace === undefined) {
        trace = { change, last: change.after };
        this.#traces.add(trace);
      }
      trace.last = change.after;
      if (key !== null) this.#present.delete(key);
      if (change.after !== null) this.#present.set(keyText(layout, change.after), trace);
      else if (trace.change.before === null) this.#traces.delete(trace);
    }
  }

  /** Deletes first, since they make room, then updates, then creates by table. */
  list(): Change[] {
    const net = [...this.#traces].flatMap(changeOf);
    const of = (type: Change['type']) => net.filter((change) => change.type === type);
    const creates = of('create').sort((left, right) => left.layout - right.layout);
    return [...of('delete'), ...of('update'), ...creates];
  }
}

function changeOf({ change: { tableId, layout, before }, last }: Trace): Change[] {
  const common = { tableId, layout, before, after: last };
  if (before === null) return last === null ? [] : [{ type: 'create', ...common }];
  if (last === null) return [{ type: 'delete', ...common }];
  return sameValues(before, last) ? [] : [{ type: 'update', ...common }];
}
