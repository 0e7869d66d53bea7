import { rehearse } from '../../src/core/replica/rehearse.ts';
import { readCatalogue } from '../../src/core/replica/schema-versions.ts';
import type { PortResult, SqlitePort } from '../../src/core/sqlite/port.ts';
import { quoteName } from '../../src/core/sqlite/quote.ts';

/** Whether every index over partitions has exactly the entries that the rows of all partitions make. @throws what is wrong */
export function checkIndexes(ports: readonly SqlitePort[]): void {
  const [any] = ports;
  if (any === undefined) return;
  const { tables, uniques = [], references = [] } = readCatalogue(any);
  for (const { of, columns, row, table } of [...uniques, ...references]) {
    const owner = tables.find(({ id }) => id === of);
    if (owner === undefined) throw new Error(`${table.name} is of no table`);
    const rows = (read: (port: SqlitePort) => PortResult) =>
      ports.flatMap((port) => read(port).rows.map((each) => JSON.stringify(each))).sort();
    const set = columns.map((column) => `${quoteName(column)} IS NOT NULL`).join(' AND ');
    const select = `SELECT ${[...columns, ...row].map(quoteName).join(', ')} FROM ${quoteName(owner.name)} WHERE ${set}`;
    // References are stored as the parents' columns would store them.
    const wanted = rows((port) =>
      rehearse(port, () => {
        const definitions = table.columns.map(({ name, affinity }) => `${name} ${affinity}`);
        port.query(`CREATE TABLE wanted (${definitions.join(', ')})`);
        port.query(`INSERT INTO wanted ${select}`);
        return port.query('SELECT * FROM wanted');
      }),
    );
    const there = rows((port) => port.query(`SELECT * FROM ${table.name}`));
    const lacking = wanted.filter((entry) => !there.includes(entry));
    const idle = there.filter((entry) => !wanted.includes(entry));
    if (lacking.length + idle.length > 0)
      throw new Error(
        `the index of ${owner.name} (${columns.join()}) lacks ${lacking.join()} and has, of no row, ${idle.join()}`,
      );
  }
}
