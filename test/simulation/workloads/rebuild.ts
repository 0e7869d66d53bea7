/** The statements that make a table anew with its rows, as migration tools send them: one schema change. */
export function rebuild(table: string, definition: string, columns: string): readonly string[] {
  return [
    'PRAGMA foreign_keys = OFF',
    `CREATE TABLE new_${table} (${definition})`,
    `INSERT INTO new_${table} (${columns}) SELECT ${columns} FROM ${table}`,
    `DROP TABLE ${table}`,
    `ALTER TABLE new_${table} RENAME TO ${table}`,
    'PRAGMA foreign_keys = ON',
  ];
}
