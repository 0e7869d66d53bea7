/** A statement's parameters as SQLite numbers them: https://www.sqlite.org/lang_expr.html#varparam. */
export interface Parameters {
  /** How many values it takes: the greatest number. */
  readonly count: number;
  /** The statement with a number in place of every name, for hosts that bind by position alone. */
  readonly numbered: string;
}

export function parametersOf(sql: string): Parameters {
  if (!/[?:@$]/.test(sql)) return { count: 0, numbered: sql };
  const names = new Map<string, number>();
  let count = 0;
  let numbered = '';
  for (const [token] of sql.matchAll(TOKEN)) {
    if (token.startsWith('?')) {
      const number = token === '?' ? count + 1 : Number(token.slice(1));
      count = Math.max(count, number);
      numbered += token;
    } else if (/^[:@$]./.test(token)) {
      const number = names.get(token) ?? count + 1;
      names.set(token, number);
      count = Math.max(count, number);
      numbered += `?${number}`;
    } else numbered += token;
  }
  return { count, numbered };
}

/** Comments, quoted text and words stay as they are. */
const TOKEN =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|\?\d*|[:@$][\w$\u0080-\uffff]+(?:::[\w$\u0080-\uffff]+)*|[\w$\u0080-\uffff]+|[\s\S]/g;
