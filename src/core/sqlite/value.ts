export { RawText, type SqlValue } from '../../base/sql-value.ts';
