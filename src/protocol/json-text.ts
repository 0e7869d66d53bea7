import { AtollError } from './error.ts';

/** Chosen: requests of the public API are nested six deep. */
export const MAX_JSON_DEPTH = 64;

/** A fraction, an exponent, or too many digits for a safe integer; within strings too, which does no harm. */
const MAY_BE_INEXACT = /\d[.eE]|\d{16}/;

/**
 * Reads JSON so that no number loses what its text says: every number in the result is a safe integer, written
 * without point or exponent; any other came as the object that stands for it, `{"$real":"1.50"}` or
 * `{"$int":"9007199254740993"}`, which decodeValue knows. A `__proto__` key is an own property like any other,
 * and of equal keys the last one counts.
 *
 * Usually one native JSON.parse. Errors: `payload`, `too-deep`.
 */
export function parseJson(text: string): unknown {
  const value = parseNative(text);
  if (!isWithinDepth(value, MAX_JSON_DEPTH)) {
    throw new AtollError('too-deep', `JSON is nested more than ${MAX_JSON_DEPTH} levels deep`);
  }
  return value;
}

function parseNative(text: string): unknown {
  try {
    // The marked text is valid exactly if the text is: a number becomes another kind of value.
    return JSON.parse(MAY_BE_INEXACT.test(text) ? markNumbers(text) : text);
  } catch (error) {
    if (error instanceof RangeError) throw new AtollError('too-deep', 'JSON is nested too deeply');
    throw new AtollError('payload', syntaxMessage(text));
  }
}

/** In terms of the original text, not of the marked one. */
function syntaxMessage(text: string): string {
  try {
    JSON.parse(text);
  } catch (error) {
    return `the body is no valid JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  return 'the body is no valid JSON';
}

const STRING_OR_NUMBER = /["\-0-9]/g;
const NUMBER_CHARACTERS = /[-+.0-9eE]+/y;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** The text with every number that JSON.parse would blur replaced by its object. */
function markNumbers(text: string): string {
  let marked = '';
  let copied = 0;
  let at = nextToken(text, 0);
  while (at >= 0) {
    let end: number;
    if (text.charCodeAt(at) === 0x22) {
      end = stringEnd(text, at);
    } else {
      NUMBER_CHARACTERS.lastIndex = at;
      const number = NUMBER_CHARACTERS.exec(text)?.[0] ?? '';
      end = at + number.length;
      const mark = markOf(number);
      if (mark !== null) {
        marked += `${text.slice(copied, at)}{"${mark}":"${number}"}`;
        copied = end;
      }
    }
    at = nextToken(text, end);
  }
  return marked + text.slice(copied);
}

function nextToken(text: string, from: number): number {
  STRING_OR_NUMBER.lastIndex = from;
  return STRING_OR_NUMBER.exec(text)?.index ?? -1;
}

/** Where the string that opens at `start` is over. */
function stringEnd(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1);
  while (quote >= 0) {
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    quote = text.indexOf('"', quote + 1);
  }
  return text.length;
}

/** Null for safe integers, and for what is no number: JSON.parse will say so. */
function markOf(number: string): '$real' | '$int' | null {
  const match = JSON_NUMBER.exec(number);
  if (match === null) return null;
  if (match[1] !== undefined || match[2] !== undefined) return '$real';
  return number.length > 15 && !Number.isSafeInteger(Number(number)) ? '$int' : null;
}

/** Its own recursion ends at the limit. */
function isWithinDepth(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (limit === 0) return false;
  if (Array.isArray(value)) {
    for (const element of value) {
      if (typeof element === 'object' && !isWithinDepth(element, limit - 1)) return false;
    }
    return true;
  }
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key];
    if (typeof member === 'object' && !isWithinDepth(member, limit - 1)) return false;
  }
  return true;
}
