import type { SqlValue } from '../../../src/base/sql-value.ts';
import type { Dice } from './arbitrary-database.ts';

/** Builds one SELECT; parameters collect in `args`. */
export class SelectGenerator {
  readonly args: SqlValue[] = [];
  readonly #dice: Dice;
  readonly #keys: readonly SqlValue[];

  constructor(dice: Dice, keys: readonly SqlValue[]) {
    this.#dice = dice;
    this.#keys = keys;
  }

  value(value: SqlValue): string {
    this.args.push(value);
    return `@@${this.args.length - 1}@@`;
  }

  key(): string {
    return this.value(this.#dice.pick(this.#keys));
  }

  /** A condition that pins the key, more or less. */
  pin(column: string): string {
    const dice = this.#dice;
    const key = this.key();
    return dice.pick([
      `${column} = ${key}`,
      `${column} = ${key}`,
      `${key} = ${column}`,
      `${column} IS ${key}`,
      `${column} IN (${key})`,
      `(${column}) = ${key} AND 1`,
      `${column} = ${key} COLLATE NOCASE`,
      `+${column} = ${key}`,
      `${column} = ${key} OR ${column} = ${this.key()}`,
      `${column} IN (${key}, ${this.key()})`,
      `${column} IS NULL`,
      `NOT (${column} = ${key})`,
      `${column} = CAST(${key} AS TEXT)`,
      `${column} COLLATE BINARY = ${key}`,
      `(${column}, 1) = (${key}, 1)`,
      `${column} BETWEEN ${key} AND ${key}`,
      `${column} = ${key} AND ${column} = ${this.key()}`,
    ]);
  }

  filter(prefix: string): string {
    return this.#dice.pick([
      `${prefix}a > 1`,
      `${prefix}a IS NOT NULL`,
      `${prefix}b = 'a'`,
      `${prefix}b LIKE 'a%'`,
      `${prefix}a % 2 = 0`,
      `typeof(${prefix}c) = 'integer'`,
      `${prefix}d < ${this.value(2.5)}`,
      `${prefix}a BETWEEN 0 AND 3`,
    ]);
  }

  where(prefix: string): string {
    const parts: string[] = [];
    if (this.#dice.chance(40)) parts.push(this.filter(prefix));
    if (this.#dice.chance(25)) parts.push(`(${this.pin(`${prefix}k`)})`);
    if (this.#dice.chance(10)) parts.push(this.pin(`${prefix}k`));
    return parts.length === 0 ? '' : ` WHERE ${parts.join(' AND ')}`;
  }

  direction(): string {
    return this.#dice.pick([
      '',
      '',
      ' DESC',
      ' ASC',
      ' DESC NULLS FIRST',
      ' NULLS LAST',
      ' COLLATE NOCASE',
      ' COLLATE RTRIM DESC',
    ]);
  }

  limit(): string {
    const dice = this.#dice;
    if (!dice.chance(40)) return '';
    return dice.pick([
      ' LIMIT 3',
      ` LIMIT ${this.value(2n)} OFFSET ${this.value(1n)}`,
      ' LIMIT 2, 4',
      ' LIMIT -1 OFFSET 3',
      ' LIMIT 1 + 1',
      ' LIMIT 0',
      ' LIMIT 5 OFFSET -2',
      ` LIMIT ${this.value('4')}`,
      ' LIMIT 1000',
    ]);
  }

  aggregate(): string {
    const dice = this.#dice;
    const simple = [
      'count(*)',
      'count(c)',
      'sum(a)',
      'total(a)',
      'avg(a)',
      'min(a)',
      'max(a)',
      'min(b)',
      'max(b)',
      'max(c)',
      'min(c)',
      'sum(d)',
      'avg(d)',
      'sum(c)',
      'count(DISTINCT b)',
      'sum(DISTINCT a)',
      'avg(DISTINCT a)',
      'count(DISTINCT k)',
      'count(*) FILTER (WHERE a > 1)',
      'sum(a) FILTER (WHERE b IS NOT NULL)',
      'max(b COLLATE NOCASE)',
      'sum(a + 1)',
      `sum(a * ${this.value(2n)})`,
      'count(a) FILTER (WHERE d > 0)',
      'min(d)',
      'max(length(b))',
    ];
    const one = (): string => dice.pick(simple);
    return dice.pick([
      one,
      one,
      one,
      () => `${one()} + ${one()}`,
      () => 'sum(a) * 1.0 / count(*)',
      () => 'CASE WHEN count(*) > 3 THEN max(a) ELSE min(a) END',
      () => 'coalesce(sum(a), 0)',
      () => 'round(avg(a), 2)',
      () => 'count(*) > 2 AND max(a) IS NOT NULL',
      () => 'CAST(avg(a) AS INTEGER)',
      () => "count(*) || ' rows'",
      () => 'nullif(count(*), 3)',
      () => 'abs(sum(a)) % 7',
      () => 'max(a) - min(a)',
      () => 'max(count(*), 2)',
      () => 'max(b) = min(b)',
      () => `max(a) IN (1, 2, ${this.value(3n)})`,
      () => 'sum(a) / 2',
      () => '-count(*)',
      () => 'typeof(sum(c))',
    ])();
  }
}
