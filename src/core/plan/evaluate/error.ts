/** Why a merge stops. The first two are SQLite's own errors; `unsupported`: the router's evaluator does not know it. */
export type MergeErrorKind = 'integer-overflow' | 'datatype-mismatch' | 'unsupported';

export class MergeError extends Error {
  override name = 'MergeError';
  readonly kind: MergeErrorKind;
  constructor(kind: MergeErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
