import type { RecordReader, SourceRecord } from './record.ts';

/** NDJSON: a JSON text per line (https://github.com/ndjson/ndjson-spec). */
export class NdjsonReader implements RecordReader {
  #line: number;
  #text = '';
  #at = 0;

  constructor(firstLine: number) {
    this.#line = firstLine;
  }

  get line(): number {
    return this.#line;
  }

  push(text: string): void {
    this.#text = text;
    this.#at = 0;
  }

  end(): void {}

  next(): SourceRecord | null {
    while (this.#at < this.#text.length) {
      const newline = this.#text.indexOf('\n', this.#at);
      const end = newline < 0 ? this.#text.length : newline;
      const text = this.#text.slice(this.#at, end);
      const line = this.#line++;
      this.#at = end + 1;
      if (text !== '' && text !== '\r') return { kind: 'json', line, text };
    }
    return null;
  }
}
