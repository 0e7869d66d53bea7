export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** Reports that something happened: `event` names it for programs, `fields` say to what. */
export type LogEvent = (level: LogLevel, event: string, fields?: LogFields) => void;

/** One JSON object a line: time (ISO 8601), level, event, then its fields. */
export function jsonLog(write: (line: string) => void): LogEvent {
  return (level, event, fields = {}) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`);
}

/** What was thrown, for a field of the log: a defect with its stack. */
export function causeOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}

/** The same for what is expected to happen: its message alone. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
