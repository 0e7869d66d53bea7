import { AtollError } from '../../protocol/error.ts';

/** `instead`: what to do. */
export function unsupported(what: string, instead: string): AtollError {
  return new AtollError('unsupported', `${what}: not supported yet; ${instead}`);
}

export function parentDropped(name: string, child: string): AtollError {
  return unsupported(
    `dropping ${name}, which ${child} refers to (its rows would be deleted, or left without a parent)`,
    `drop ${child} first; or, where ${name} is created anew, send it all as one batch that begins with PRAGMA foreign_keys = OFF`,
  );
}

export function notReplaced(name: string, child: string): AtollError {
  return unsupported(
    `dropping ${name}, which ${child} refers to, with nothing in its place that has its rows`,
    `drop ${child} first, or fill the new table with INSERT INTO … SELECT … FROM ${name} before`,
  );
}

/** A copy that would not be the same row by row, and wherever it is run. */
export function copyRefused(why: string): AtollError {
  return new AtollError('unsupported', `the copy of a table that is rebuilt: ${why}`);
}
