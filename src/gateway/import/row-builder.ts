import type { PartitionId } from '../../base/brand.ts';
import type { SqlValue } from '../../base/sql-value.ts';
import { AtollError } from '../../protocol/error.ts';
import { parseJson } from '../../protocol/json-text.ts';
import { decodeValue } from '../../protocol/json-value.ts';
import type { SourceRecord } from './record.ts';
import type { ImportTarget, Shape, Slot } from './target.ts';
import { isTagged, textOfNumber, textOfString, textOfValue } from './value-text.ts';

/** A row made ready for its partition. */
export interface Row {
  readonly line: number;
  readonly partition: PartitionId;
  readonly shape: Shape;
  /** `protocol/import.ts`. */
  readonly text: string;
  /** Indexes of the shape's columns that hold a tagged value; null: none. */
  readonly tagged: readonly number[] | null;
}

/** What a value is given as: absent, in JavaScript's own values, or exact. */
type Given = unknown;

/** Makes rows of records for one target. Reused from row to row, so that the usual row allocates little. */
export class RowBuilder {
  readonly #target: ImportTarget;
  /** Slot of each value of a record without names; null: rows name them. */
  readonly #order: readonly number[] | null;
  readonly #nullText: string | null;
  readonly #values: Given[];
  /** Slots that a statement leaves out where a row does not give them: to their defaults, or to a generated id. */
  readonly #optional: readonly number[];
  readonly #shapes = new Map<string, Shape>();
  readonly #keyValues: (SqlValue | undefined)[];

  /** @throws UnknownColumnError; AtollError for a column that is named twice */
  constructor(target: ImportTarget, columns: readonly string[] | null, nullText: string | null) {
    this.#target = target;
    this.#order = columns?.map((name) => target.slotOf(name)) ?? null;
    if (this.#order !== null && new Set(this.#order).size < this.#order.length) {
      throw new AtollError('bad-request', 'a column is named twice');
    }
    this.#nullText = nullText;
    this.#values = new Array(target.slots.length);
    this.#optional = target.slots.flatMap((slot, index) =>
      slot.defaultSql !== null || index === target.idSlot ? [index] : [],
    );
    this.#keyValues = new Array(target.keySlots.length);
  }

  /** @throws UnknownColumnError; AtollError for a record that is no row */
  build(record: SourceRecord): Row {
    if (record.kind === 'fields') {
      this.#takeFields(record.fields, record.quoted);
      return this.#finish(record.line, '') as Row;
    }
    const { line, text } = record;
    this.#takeJson(parseNative(text));
    const row = this.#finish(line, text);
    if (row !== null) return row;
    this.#takeJson(parseJson(text));
    this.#decode();
    return this.#finish(line, null) as Row;
  }

  /** A row of exact values, in the order of the columns. */
  buildExact(line: number, values: readonly SqlValue[]): Row {
    const order = this.#order as readonly number[];
    this.#checkCount(values.length, order.length);
    this.#values.fill(undefined);
    for (let i = 0; i < order.length; i++) this.#values[order[i] as number] = values[i];
    return this.#finish(line, null) as Row;
  }

  #takeFields(fields: readonly string[], quoted: readonly boolean[] | null): void {
    const order = this.#order as readonly number[];
    this.#checkCount(fields.length, order.length);
    this.#values.fill(undefined);
    for (let i = 0; i < order.length; i++) {
      const slot = order[i] as number;
      const field = fields[i] as string;
      const isNull = quoted?.[i] !== true && this.#standsForNull(field, slot);
      this.#values[slot] = isNull ? null : field;
    }
  }

  #standsForNull(field: string, slot: number): boolean {
    if (this.#nullText !== null) return field === this.#nullText;
    return field === '' && (this.#target.slots[slot] as Slot).affinity !== 'TEXT';
  }

  #takeJson(json: unknown): void {
    const values = this.#values;
    values.fill(undefined);
    if (this.#order !== null) {
      if (!Array.isArray(json)) throw new AtollError('payload', 'the row is no array, as ?columns= says');
      this.#checkCount(json.length, this.#order.length);
      for (let i = 0; i < json.length; i++) values[this.#order[i] as number] = json[i];
      return;
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new AtollError('payload', 'the row is no object; for arrays name the columns with ?columns=');
    }
    for (const name in json) {
      const slot = this.#target.slotOf(name);
      if (values[slot] !== undefined) throw new AtollError('payload', `the column ${name} is given twice`);
      values[slot] = (json as Record<string, unknown>)[name];
    }
  }

  #checkCount(given: number, expected: number): void {
    if (given === expected) return;
    throw new AtollError('payload', `the row has ${given} values for ${expected} columns`);
  }

  /**
   * `source`: the JSON that the values were read from, with JSON.parse; null: they are exact. The result is null when
   * the row must be read once more, exactly: a value is blurred, or tagged.
   */
  #finish(line: number, source: string | null): Row | null {
    const exact = source === null;
    const { slots, idSlot, keySlots, takesIds, table } = this.#target;
    if (!takesIds && idSlot >= 0 && (this.#values[idSlot] ?? null) !== null) {
      throw new AtollError(
        'needs-global-index',
        `${slots[idSlot]?.name} of ${table.name} is generated: its key does not contain it, so that a given one might be another partition's; leave it out, or declare an INTEGER PRIMARY KEY`,
      );
    }
    const shape = this.#shape();
    let text = `[${line}`;
    let tagged: number[] | null = null;
    for (let i = 0; i < shape.slots.length; i++) {
      const slot = shape.slots[i] as number;
      const value = this.#values[slot];
      if (exact) {
        if (isTagged(value as SqlValue)) tagged = [...(tagged ?? []), i];
        text += `,${textOfValue(value as SqlValue)}`;
      } else {
        const valueText = nativeText(value, slots[slot] as Slot, source);
        if (valueText === null) return null;
        text += `,${valueText}`;
      }
    }
    for (let i = 0; i < keySlots.length; i++) {
      const value = this.#values[keySlots[i] as number];
      this.#keyValues[i] = exact ? (value as SqlValue | undefined) : keyValue(value);
    }
    const partition = this.#target.partitionOf(this.#keyValues, line);
    return { line, partition, shape, text: `${text}]`, tagged };
  }

  #decode(): void {
    for (const [slot, value] of this.#values.entries()) {
      if (value === undefined) continue;
      this.#values[slot] = decodeValue(value, () => (this.#target.slots[slot] as Slot).name);
    }
  }

  /** Absent columns are NULL, but those with a default, and the id. */
  #shape(): Shape {
    let key = '';
    for (const slot of this.#optional) key += this.#isLeftOut(slot) ? '0' : '1';
    let shape = this.#shapes.get(key);
    if (shape === undefined) {
      const { slots, idSlot } = this.#target;
      const leftOut = new Set(this.#optional.filter((slot) => this.#isLeftOut(slot)));
      const given = slots.flatMap((_, slot) => (leftOut.has(slot) ? [] : [slot]));
      const columns = given.map((slot) => (slots[slot] as Slot).name);
      shape = { slots: given, columns, generatesIds: leftOut.has(idSlot) };
      this.#shapes.set(key, shape);
    }
    for (const slot of shape.slots) this.#values[slot] ??= null;
    return shape;
  }

  #isLeftOut(slot: number): boolean {
    const value = this.#values[slot];
    return value === undefined || (value === null && slot === this.#target.idSlot);
  }
}

function parseNative(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof RangeError) throw new AtollError('too-deep', 'JSON is nested too deeply');
    throw new AtollError('payload', `the line is no valid JSON: ${(error as Error).message}`);
  }
}

function nativeText(value: Given, slot: Slot, source: string): string | null {
  switch (typeof value) {
    case 'string':
      return textOfString(value);
    case 'number':
      return textOfNumber(value, slot.tellsReals, source);
    case 'boolean':
      return value ? '1' : '0';
    default:
      return value === null ? 'null' : null;
  }
}

/** Of the values that {@link nativeText} lets through. An integral REAL has the token of the INTEGER. */
function keyValue(value: Given): SqlValue | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return value as string | null | undefined;
}
