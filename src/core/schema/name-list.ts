import { asciiLower } from '../../base/ascii.ts';

/** Column names once the column `from` is called `to`. */
export function renamed(names: readonly string[], from: string, to: string): string[] {
  return names.map((name) => (asciiLower(name) === asciiLower(from) ? to : name));
}

/** Whether the name is among them, in whatever case. */
export function includesName(names: readonly string[], name: string): boolean {
  return names.some((each) => asciiLower(each) === asciiLower(name));
}
