/** What is wrong with messages on some ways; a name that is null stands for everybody. */
export interface BadLink {
  readonly from: string | null;
  readonly to: string | null;
  /** Silence; an error at once, as of a connection that is refused; or so many ms more. */
  readonly how: 'silent' | 'refused' | number;
}

export type Passage =
  | { readonly kind: 'silent' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'open'; readonly moreMs: number };

/** The ways between hosts, and how they are now. */
export class Links {
  readonly #bad = new Set<BadLink>();

  /** Until the function that is returned is called. */
  spoil(...links: readonly BadLink[]): () => void {
    for (const link of links) this.#bad.add(link);
    return () => {
      for (const link of links) this.#bad.delete(link);
    };
  }

  heal(): void {
    this.#bad.clear();
  }

  passage(from: string, to: string): Passage {
    let moreMs = 0;
    for (const link of this.#bad) {
      if ((link.from !== null && link.from !== from) || (link.to !== null && link.to !== to)) continue;
      if (typeof link.how === 'string') return { kind: link.how };
      moreMs += link.how;
    }
    return { kind: 'open', moreMs };
  }
}

/** In both directions. */
export function between(one: string | null, other: string | null, how: BadLink['how']): BadLink[] {
  return [
    { from: one, to: other, how },
    { from: other, to: one, how },
  ];
}
