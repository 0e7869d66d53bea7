import { asciiLower } from '../../base/ascii.ts';

/** Column names once the column `from` is called `to`. */
export function renamed(names: readonly string[], from: string, to: string): string[] {
  return names.map((name) => (asciiLower(name) === asciiLower(from) ? to : name));
}
