import { AtollError } from '../../protocol/error.ts';

export type JsonObject = { readonly [key: string]: Json };
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/**
 * A list of similar JSON values, column by column, itself JSON. The tag says how; `count` is known from outside:
 *
 * - `['=', value]`: all are equal
 * - `['+', [first, difference…]]`, `['i', [integer…]]`: integers
 * - `['r', [integer, times, …]]`, `['d', [difference, times, …]]`: integers, or their differences from 0 on, run by run
 * - `['k', [distinct value…], integers]`: scalars by their place among the distinct ones
 * - `['a', lengths, items]`: lists, joined; lengths are integers, packed too
 * - `['o', [[key, column]…]]`: objects that all have these keys in this order
 * - `['g', places, [objects…]]`: objects of several shapes; places say of which each is, integers again
 * - `['v', [value…]]`: anything else, as it is
 *
 * The idea of Dremel and Parquet (S. Melnik et al., "Dremel: Interactive Analysis of Web-Scale Datasets", VLDB
 * 2010), for lists in lists.
 */
export type Packed = readonly [tag: string, ...Json[]];

/** Chosen: lists in lists; deeper ones stay as they are. */
const DEPTH_MAX = 6;
/** Chosen: shapes of objects in one list, for keys that some lack; with more the list stays as it is. */
const SHAPES_MAX = 16;
/** Chosen: most values that one packed list may unfold to, 20 times 10,000 partitions of 3 replicas. */
export const VALUES_MAX = 4_000_000;

export function pack(values: readonly Json[], depth: number = DEPTH_MAX): Packed {
  const [first] = values;
  if (first === undefined || depth === 0) return ['v', values];
  if (isScalar(first) && values.every((value) => Object.is(value, first))) return ['=', first];
  if (values.every(isInteger)) return packIntegers(values);
  if (values.every(isScalar)) return packScalars(values);
  if (values.every(isList)) {
    return ['a', pack(values.map(({ length }) => length)), pack(values.flat() as readonly Json[], depth - 1)];
  }
  if (values.every(isObject)) return packObjects(values, depth);
  return ['v', values];
}

/** @throws AtollError `bad-request` if it is not of that shape, or unfolds to more than `VALUES_MAX` values */
export function unpack(packed: unknown, count: number): Json[] {
  return new Unpacker(VALUES_MAX).column(packed, count, DEPTH_MAX + 1);
}

function packObjects(values: readonly JsonObject[], depth: number): Packed {
  const shapes = new Map<string, JsonObject[]>();
  const places: number[] = [];
  for (const value of values) {
    const shape = JSON.stringify(Object.keys(value));
    const alike = shapes.get(shape);
    if (alike === undefined) shapes.set(shape, [value]);
    else alike.push(value);
    places.push([...shapes.keys()].indexOf(shape));
    if (shapes.size > SHAPES_MAX) return ['v', values];
  }
  const packed = [...shapes].map(([shape, alike]): Packed => {
    const keys = JSON.parse(shape) as string[];
    const column = (key: string) =>
      pack(
        alike.map((value) => value[key] as Json),
        depth - 1,
      );
    return ['o', keys.map((key) => [key, column(key)])];
  });
  return packed.length === 1 ? (packed[0] as Packed) : ['g', packIntegers(places), packed];
}

function packIntegers(values: readonly number[]): Packed {
  const differences = values.map((value, i) => value - (values[i - 1] ?? 0));
  const forms: Packed[] = [
    ['i', values],
    ['r', runs(values)],
  ];
  if (differences.every(isInteger)) forms.push(['+', differences], ['d', runs(differences)]);
  const sizes = forms.map((form) => JSON.stringify(form).length);
  return forms[sizes.indexOf(Math.min(...sizes))] as Packed;
}

function packScalars(values: readonly (null | boolean | number | string)[]): Packed {
  const places = new Map<null | boolean | number | string, number>();
  for (const value of values) if (!places.has(value)) places.set(value, places.size);
  if (places.size > values.length / 2) return ['v', values];
  return ['k', [...places.keys()], packIntegers(values.map((value) => places.get(value) ?? 0))];
}

function runs(values: readonly number[]): number[] {
  const result: number[] = [];
  for (const value of values) {
    const last = result.length - 2;
    if (result[last] === value) result[last + 1] = (result[last + 1] as number) + 1;
    else result.push(value, 1);
  }
  return result;
}

class Unpacker {
  private left: number;

  constructor(valuesMax: number) {
    this.left = valuesMax;
  }

  column(packed: unknown, count: number, depth: number): Json[] {
    this.left -= count;
    if (!Array.isArray(packed) || depth < 0 || !(this.left >= 0)) return malformed();
    const [tag, body, more] = packed as readonly unknown[];
    switch (tag) {
      case '=':
        return isScalar(body) ? new Array<Json>(count).fill(body) : malformed();
      case 'v':
        return sized(body, count) as Json[];
      case 'k':
        return this.known(body, this.integers(more, count));
      case 'a':
        return this.lists(this.integers(body, count), more, depth);
      case 'o':
        return this.objects(body, count, depth);
      case 'g':
        return this.shapes(this.integers(body, count), more, depth);
      default:
        return this.integers(packed, count);
    }
  }

  private integers(packed: unknown, count: number): number[] {
    const [tag, body] = Array.isArray(packed) ? (packed as readonly unknown[]) : [];
    if (tag === '=') return isInteger(body) ? new Array<number>(count).fill(body) : malformed();
    if (tag === 'v' && count === 0) return [];
    if (!Array.isArray(body) || !body.every(isInteger)) return malformed();
    if (tag === 'i') return sized(body, count) as number[];
    if (tag === '+') return sums(sized(body, count) as number[]);
    if (tag === 'r') return unfold(body, count);
    if (tag === 'd') return sums(unfold(body, count));
    return malformed();
  }

  private known(distinct: unknown, places: readonly number[]): Json[] {
    if (!Array.isArray(distinct) || !distinct.every(isScalar)) return malformed();
    return places.map((place) => {
      const value = distinct[place];
      return value === undefined ? malformed() : value;
    });
  }

  private lists(lengths: readonly number[], packed: unknown, depth: number): Json[] {
    if (lengths.some((length) => length < 0)) return malformed();
    const items = this.column(
      packed,
      lengths.reduce((sum, length) => sum + length, 0),
      depth - 1,
    );
    let at = 0;
    return lengths.map((length) => {
      at += length;
      return items.slice(at - length, at);
    });
  }

  private shapes(places: readonly number[], packed: unknown, depth: number): Json[] {
    if (!Array.isArray(packed) || packed.length > SHAPES_MAX) return malformed();
    const shapes = packed.map((each, shape) => {
      const [tag, columns] = Array.isArray(each) ? (each as readonly unknown[]) : [];
      const count = places.filter((place) => place === shape).length;
      return tag === 'o' ? this.objects(columns, count, depth).values() : malformed();
    });
    return places.map((place) => shapes[place]?.next().value ?? malformed());
  }

  private objects(columns: unknown, count: number, depth: number): Json[] {
    if (!Array.isArray(columns)) return malformed();
    const unpacked = columns.map((column): [string, Json[]] => {
      const [key, packed] = Array.isArray(column) ? (column as readonly unknown[]) : [];
      return typeof key === 'string' ? [key, this.column(packed, count, depth - 1)] : malformed();
    });
    return Array.from({ length: count }, (_, i) =>
      Object.fromEntries(unpacked.map(([key, values]) => [key, values[i] as Json])),
    );
  }
}

function unfold(pairs: readonly number[], count: number): number[] {
  const values: number[] = [];
  for (let at = 0; at < pairs.length; at += 2) {
    const times = pairs[at + 1] ?? 0;
    if (times < 1 || values.length + times > count) return malformed();
    for (let i = 0; i < times; i++) values.push(pairs[at] as number);
  }
  return sized(values, count) as number[];
}

function sums(differences: readonly number[]): number[] {
  let sum = 0;
  return differences.map((difference) => {
    sum += difference;
    return sum;
  });
}

function sized(values: unknown, count: number): readonly unknown[] {
  return Array.isArray(values) && values.length === count ? values : malformed();
}

function isScalar(value: unknown): value is null | boolean | number | string {
  return (
    value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string'
  );
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(): never {
  throw new AtollError('bad-request', 'a packed list is malformed, or larger than Atoll reads');
}
