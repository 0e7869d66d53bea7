/**
 * PRAGMAs that only read the schema, which is the same in every partition: https://www.sqlite.org/pragma.html. Every other one
 * would act on a connection that all requests share.
 */
export const SCHEMA_PRAGMAS: readonly string[] = [
  'table_info',
  'table_xinfo',
  'table_list',
  'index_list',
  'index_info',
  'index_xinfo',
  'foreign_key_list',
];
