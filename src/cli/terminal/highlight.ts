import type { Style } from './style.ts';

const KEYWORDS = new Set(
  `ADD ALL ALTER AND AS ASC BETWEEN BY CASE CAST CHECK COLLATE CREATE CROSS DEFAULT DELETE DESC DISTINCT DROP
  ELSE END ESCAPE EXCEPT EXISTS EXPLAIN FALSE FOREIGN FROM GLOB GROUP HAVING IF IN INDEX INNER INSERT INTERSECT
  INTO IS JOIN KEY LEFT LIKE LIMIT NOT NULL OFFSET ON OR ORDER OUTER OVER PARTITION PRIMARY REFERENCE REFERENCES
  RETURNING SELECT SET TABLE THEN TRIGGER TRUE UNION UNIQUE UPDATE USING VALUES VIEW WHEN WHERE WITH`.split(
    /\s+/,
  ),
);

/** String, comment, number, word. What matches none stays as it is. */
const TOKEN = /'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\/|\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b|[A-Za-z_]\w*/g;

/** SQL with its keywords, strings, numbers and comments coloured: for reading, not for understanding. */
export function highlightSql(sql: string, style: Style): string {
  return sql.replace(TOKEN, (token) => {
    if (token.startsWith("'")) return style.green(token);
    if (token.startsWith('--') || token.startsWith('/*')) return style.dim(token);
    if (/^\d/.test(token)) return style.magenta(token);
    return KEYWORDS.has(token.toUpperCase()) ? style.cyan(token) : token;
  });
}
