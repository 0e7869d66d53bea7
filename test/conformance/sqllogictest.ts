/** One record of a sqllogictest file: https://www.sqlite.org/sqllogictest/doc/trunk/about.wiki */
export interface Record {
  readonly sql: string;
  readonly query: boolean;
  /** Line of the file on which the statement starts, from 1. */
  readonly line: number;
  /** Meant for SQLite: no `skipif sqlite` and no `onlyif` of another engine. */
  readonly forSqlite: boolean;
}

/** The statements of a file, in order. Expected values are left out: they belong to another test. */
export function readRecords(text: string): Record[] {
  const lines = text.split(/\r?\n/);
  const records: Record[] = [];
  let forSqlite = true;
  for (let at = 0; at < lines.length; at++) {
    const words = (lines[at] ?? '').trim().split(/\s+/);
    if (words[0] === 'skipif') forSqlite &&= words[1] !== 'sqlite';
    else if (words[0] === 'onlyif') forSqlite &&= words[1] === 'sqlite';
    else if (words[0] === 'halt' && forSqlite) return records;
    else if (words[0] === 'statement' || words[0] === 'query') {
      const start = at + 1;
      while (++at < lines.length && !isEnd(lines[at] ?? ''));
      const sql = lines.slice(start, at).join('\n');
      records.push({ sql, query: words[0] === 'query', line: start + 1, forSqlite });
      while (at < lines.length && (lines[at] ?? '').trim() !== '') at++;
      forSqlite = true;
    } else if (words[0] === '' || words[0] === undefined || words[0] === 'halt') forSqlite = true;
  }
  return records;
}

function isEnd(line: string): boolean {
  return line.trim() === '' || line.startsWith('----');
}
