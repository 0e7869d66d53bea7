/** Closed list: the public API's error codes for statements that are not planned. */
export type RefusalCode =
  | 'unsupported'
  | 'multi-partition-write'
  | 'no-such-table'
  | 'no-such-column'
  | 'syntax'
  | 'internal-name'
  | 'forbidden-statement'
  | 'key-change'
  | 'needs-global-index';
