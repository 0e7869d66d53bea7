import { COUNT, EOF, FIRST_KEYWORD, ID } from './token.ts';

/** SQLite's keywords in the order of token.ts: https://www.sqlite.org/lang_keywords.html */
const WORDS = (
  'WINDOW OVER FILTER ABORT ACTION AFTER ALWAYS ANALYZE ASC ATTACH BEFORE BEGIN BY CASCADE CAST COLUMN ' +
  'CONFLICT CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATABASE DEFERRED DESC DETACH DO EACH ' +
  'END EXCLUDE EXCLUSIVE EXPLAIN FAIL FIRST FOLLOWING FOR GENERATED GLOB GROUPS IF IGNORE IMMEDIATE ' +
  'INITIALLY INSTEAD KEY LAST LIKE MATCH MATERIALIZED NO NULLS OF OFFSET OTHERS PARTITION PLAN PRAGMA ' +
  'PRECEDING QUERY RAISE RANGE RECURSIVE REGEXP REINDEX RELEASE RENAME REPLACE RESTRICT ROLLBACK ROW ' +
  'ROWS SAVEPOINT TEMP TEMPORARY TIES TRIGGER UNBOUNDED VACUUM VIEW VIRTUAL WITH WITHOUT INDEXED CROSS ' +
  'FULL INNER LEFT NATURAL OUTER RIGHT ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE ' +
  'COMMIT CONSTRAINT CREATE DEFAULT DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FOREIGN ' +
  'FROM GROUP HAVING IN INDEX INSERT INTERSECT INTO IS ISNULL JOIN LIMIT NOT NOTHING NOTNULL NULL ON OR ' +
  'ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE THEN TO TRANSACTION UNION UNIQUE UPDATE USING ' +
  'VALUES WHEN WHERE'
).split(' ');

/** Both cases in which people write keywords; `keywordKind` folds the rest. */
const KINDS = new Map<string, number>();
WORDS.forEach((word, index) => {
  KINDS.set(word, FIRST_KEYWORD + index);
  KINDS.set(word.toLowerCase(), FIRST_KEYWORD + index);
});

/** CURRENT_TIMESTAMP. */
const LONGEST = 17;

/** The kind of an unquoted word: a keyword's, or ID. `mixed`: it has letters of both cases. */
export function keywordKind(word: string, mixed: boolean): number {
  if (word.length > LONGEST) return ID;
  return KINDS.get(mixed ? word.toUpperCase() : word) ?? ID;
}

/** In the order of token.ts, EOF first. */
const SYMBOLS =
  '_ token ; ( ) , . * + - / % = != < <= > >= & | ~ << >> || -> ->> number number number string blob parameter'.split(
    ' ',
  );

/** How a kind of token is called in "expected …". */
export function tokenName(kind: number): string {
  if (kind >= FIRST_KEYWORD && kind < COUNT) return WORDS[kind - FIRST_KEYWORD] ?? '';
  if (kind === ID) return 'a name';
  if (kind === EOF) return 'the end';
  return `"${SYMBOLS[kind] ?? '*/'}"`;
}
