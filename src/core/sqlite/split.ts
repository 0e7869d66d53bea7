/**
 * Splits SQL text into statements as sqlite3_complete() does (https://www.sqlite.org/c3ref/complete.html):
 * at `;` outside quotes and comments, but a CREATE TRIGGER ends at the `;` after its END. Pieces without a
 * statement are dropped.
 */
export function splitStatements(sql: string): string[] {
  const first = sql.indexOf(';');
  if (first === -1 || /^\s*$/.test(sql.slice(first + 1))) return hasStatement(sql) ? [sql] : [];
  const statements: string[] = [];
  let start = 0;
  let words: string[] = [];
  let trigger = false;
  let previous = '';
  for (const match of sql.matchAll(TOKEN)) {
    const token = match[0];
    if (/^(\s|--|\/\*)/.test(token)) continue;
    if (token === ';' && !(trigger && previous !== 'END')) {
      if (words.length > 0) statements.push(sql.slice(start, match.index));
      start = match.index + 1;
      words = [];
      trigger = false;
      previous = '';
      continue;
    }
    if (words.length < 5) {
      words.push(token.toUpperCase());
      trigger ||= CREATE_TRIGGER.test(words.join(' '));
    }
    // In `…; END;` the END stands alone in its statement; `CASE … END;` follows something else.
    previous = token === ';' ? ';' : token.toUpperCase() === 'END' && previous === ';' ? 'END' : 'OTHER';
  }
  if (words.length > 0) statements.push(sql.slice(start));
  return statements;
}

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|[\w$\u0080-\uffff]+|[\s\S]/g;

const CREATE_TRIGGER = /^(EXPLAIN |EXPLAIN QUERY PLAN )?CREATE (TEMP |TEMPORARY )?TRIGGER$/;

function hasStatement(sql: string): boolean {
  return sql.replace(/\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|;/g, '') !== '';
}
