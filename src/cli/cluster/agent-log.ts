import { record, text } from '../read-json.ts';

/** A line of an agent's log (`node-agent/log.ts`) for people: `warn: link-lost partition=1`; any other line as it is. */
export function readableLogLine(line: string): string {
  const { time: _, level, event, ...fields } = record(parsed(line));
  const name = text(event);
  if (name === undefined) return line;
  const facts = Object.entries(fields).map(([key, value]) => ` ${key}=${shown(value)}`);
  return `${level === 'info' ? '' : `${level}: `}${name}${facts.join('')}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
}

function parsed(line: string): unknown {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // Cut off, or of something else than the log.
  }
}
