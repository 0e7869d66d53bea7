import { styleText } from 'node:util';

/** Colours for one stream: none when it is no terminal, or NO_COLOR says so. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
  magenta(text: string): string;
  blue(text: string): string;
}

export function styleFor(stream: NodeJS.WriteStream): Style {
  // styleText itself looks at the stream and at NO_COLOR, NODE_DISABLE_COLORS and FORCE_COLOR.
  const paint = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    styleText(format, text, { stream });
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
    magenta: paint('magenta'),
    blue: paint('blue'),
  };
}

/** Columns of a stream's terminal; a width that suits files and mail where there is none. */
export function widthOf(stream: NodeJS.WriteStream): number {
  return stream.columns ?? 100;
}
