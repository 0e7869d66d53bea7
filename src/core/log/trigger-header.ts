/** Where the parts of a CREATE TRIGGER are. Grammar: https://www.sqlite.org/lang_createtrigger.html. */
export interface TriggerHeader {
  readonly time: 'BEFORE' | 'AFTER' | 'INSTEAD OF';
  /** Offset behind the word WHEN; null without one. */
  readonly whenEnd: number | null;
  /** Offset of the BEGIN of the body. */
  readonly begin: number;
}

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[\w$\u0080-\uffff]+|[\s\S]/g;

const STATEMENT_START = /^(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|VALUES)$/;

interface Word {
  readonly text: string;
  readonly at: number;
}

/** Null if there is no body. `sql` must be a CREATE TRIGGER that SQLite accepts. */
export function triggerHeader(sql: string): TriggerHeader | null {
  const words: Word[] = [];
  for (const match of sql.matchAll(TOKEN))
    if (!/^(\s|--|\/\*)/.test(match[0])) words.push({ text: match[0].toUpperCase(), at: match.index });
  const on = words.findIndex((word, i) => word.text === 'ON' && i > 2 && words[i - 1]?.text !== '.');
  if (on === -1) return null;
  let at = on + 2;
  if (words[at]?.text === 'FOR') at += 3;
  const when = words[at]?.text === 'WHEN' ? words[at] : undefined;
  for (; at < words.length; at++) {
    const word = words[at];
    if (word?.text !== 'BEGIN' || words[at - 1]?.text === '.') continue;
    if (!STATEMENT_START.test(words[at + 1]?.text ?? '')) continue;
    return {
      time: timeOf(words.slice(0, on)),
      whenEnd: when === undefined ? null : when.at + 4,
      begin: word.at,
    };
  }
  return null;
}

/** The words before the event are the time, and BEFORE is left out at will; a name may be `after`. */
function timeOf(words: readonly Word[]): TriggerHeader['time'] {
  const event = words.findIndex(({ text }, i) => i > 2 && /^(DELETE|INSERT|UPDATE)$/.test(text));
  if (words[event - 1]?.text === 'OF' && words[event - 2]?.text === 'INSTEAD') return 'INSTEAD OF';
  const name = words.findIndex(({ text }) => text === 'TRIGGER') + (words[3]?.text === 'NOT' ? 4 : 1);
  const nameEnd = words[name + 1]?.text === '.' ? name + 2 : name;
  return words[event - 1]?.text === 'AFTER' && event - 1 > nameEnd ? 'AFTER' : 'BEFORE';
}
