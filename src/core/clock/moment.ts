import { present } from '../../base/assert.ts';
import type { Timestamp } from '../../base/brand.ts';
import { COUNTER_LIMIT, formatTimestamp, MILLISECONDS_LIMIT, parseTimestamp } from './timestamp.ts';

/** What to write for a moment, for messages. */
export const MOMENT_FORMS =
  'a time such as "2026-11-27T12:00:00.000Z", Unix milliseconds, or an asOf that an answer has shown';

/**
 * Behind the node ids of partitions (`p0`, `p1`, …), so that with the highest counter it is behind every reading of its
 * millisecond.
 */
const LAST_NODE = 'z';

/**
 * The moment that a client names, as one timestamp for all partitions: an HLC timestamp is itself; a time of the calendar
 * (ISO 8601, with its zone) and Unix milliseconds are the end of that millisecond, so that all that happened within it is
 * seen. Digits behind the milliseconds are cut off. Null for what is no moment.
 */
export function momentOf(value: unknown): Timestamp | null {
  if (typeof value === 'number') return endOfMillisecond(value);
  if (typeof value !== 'string') return null;
  return parseTimestamp(value) === null ? endOfMillisecond(parseTime(value)) : (value as Timestamp);
}

/** A timestamp's time of the calendar, for messages. */
export function timeOf(timestamp: Timestamp): string {
  return new Date(present(parseTimestamp(timestamp), 'a timestamp').milliseconds).toISOString();
}

/** `YYYY-MM-DD HH:MM:SS.SSS` in UTC, as SQLite's time functions read it. */
export function timeText(unixMs: number): string {
  return new Date(unixMs).toISOString().replace('T', ' ').replace('Z', '');
}

function endOfMillisecond(milliseconds: number): Timestamp | null {
  if (!Number.isInteger(milliseconds) || milliseconds < 0 || milliseconds >= MILLISECONDS_LIMIT) return null;
  return formatTimestamp({ milliseconds, counter: COUNTER_LIMIT - 1, node: LAST_NODE });
}

/** Without a zone a time means several moments; without a time of day a date does. */
const TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?(\d\d))$/;

/** Unix milliseconds; NaN for what is no time. */
function parseTime(text: string): number {
  const match = TIME.exec(text);
  if (match === null) return Number.NaN;
  const [year, month, day, hour, minute, second, , , zoneHour, zoneMinute] = match
    .slice(1)
    .map((part) => Number(part ?? 0)) as [number, number, number, number, number, number, ...number[]];
  if (hour > 23 || minute > 59 || second > 59 || (zoneHour ?? 0) > 23 || (zoneMinute ?? 0) > 59)
    return Number.NaN;
  const date = Date.UTC(year, month - 1, day);
  // Date.UTC takes the 31st of February for the 3rd of March, and years up to 99 for those of the last century.
  if (new Date(date).toISOString().slice(0, 10) !== text.slice(0, 10)) return Number.NaN;
  const fraction = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const offset = (match[8] === '-' ? -1 : 1) * ((zoneHour ?? 0) * 60 + (zoneMinute ?? 0));
  return date + ((hour * 60 + minute - offset) * 60 + second) * 1000 + fraction;
}
