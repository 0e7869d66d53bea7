/** A name as SQL, quoted whatever it is. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A TEXT literal. The text holds no NUL: SQLite would end the statement there. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
