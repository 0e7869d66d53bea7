import { AtollError } from '../../protocol/error.ts';

/** Characters of one statement (chosen: a row of SQLite's 2.2 MB, every byte as two hex digits, and room). */
export const STATEMENT_CHARACTERS_MAX = 8 * 1024 * 1024;

/** A statement without its semicolon, comments before it included. */
export interface SourceStatement {
  readonly sql: string;
  /** Number of its first line, and its own, from 1. */
  readonly line: number;
  readonly number: number;
}

/** What may stand at a statement's top: a quoted thing or comment, or a single character or word that matters. */
const SPECIAL = /['"`[;]|--|\/\*|[A-Za-z_][\w$]*/g;
const ENDS: Readonly<Record<string, string>> = { '--': '\n', '/*': '*/', '[': ']' };
/** Spaces and comments, the last of which may lack its end. */
const LEAD = /^(?:\s|--[^\n]*|\/\*(?:[^*]|\*(?!\/))*(?:\*\/|$))*/;
const TRIGGER = /^CREATE( TEMP| TEMPORARY)? TRIGGER$/;

/**
 * Cuts text that comes in pieces into statements, as sqlite3_complete() does
 * (https://www.sqlite.org/c3ref/complete.html): at `;` outside quotes and comments, but a CREATE TRIGGER ends at the
 * `;` after its END. Holds one statement, and the piece that it lies in.
 */
export class StatementSplitter {
  #text = '';
  /** How far the statement that begins at 0 was looked through. */
  #at = 0;
  /** Its first words; once it has three, they tell whether it is a trigger's. */
  #words: string[] = [];
  /** In a trigger: what came last at its top, `;` or the END behind it. */
  #before: ';' | 'END' | '' = '';
  #line = 1;
  #number = 0;
  #ended = false;

  /** Of the next statement, from 1. */
  get number(): number {
    return this.#number + 1;
  }

  get line(): number {
    return this.#line;
  }

  push(text: string): void {
    this.#text += text;
  }

  /** No more text comes: what waits is the last statement. */
  end(): void {
    this.#ended = true;
  }

  /** Null: push more, or that was the last. Empty ones are left out. */
  next(): SourceStatement | null {
    for (let end = this.#findEnd(); end !== null; end = this.#findEnd()) {
      const found = this.#take(end);
      if (found !== null) return found;
    }
    if (this.#text.length > STATEMENT_CHARACTERS_MAX) throw this.#tooLong();
    return null;
  }

  #take(end: number): SourceStatement | null {
    const sql = this.#text.slice(0, end);
    const lead = LEAD.exec(sql)?.[0] ?? '';
    const line = this.#line + newlinesIn(lead);
    this.#line += newlinesIn(sql);
    this.#text = this.#text.slice(end + 1);
    this.#at = 0;
    this.#words = [];
    this.#before = '';
    if (lead.length === sql.length) return null;
    this.#number++;
    return { sql, line, number: this.#number };
  }

  /** Where the semicolon stands, or the text ends; null: more is needed to know. */
  #findEnd(): number | null {
    const text = this.#text;
    for (;;) {
      SPECIAL.lastIndex = this.#at;
      const found = SPECIAL.exec(text);
      if (found === null) break;
      const token = found[0];
      if (token === ';') {
        this.#at = found.index + 1;
        if (!this.#isTrigger() || this.#before === 'END') return found.index;
        this.#before = ';';
        continue;
      }
      const past = /^[A-Za-z_]/.test(token)
        ? found.index + token.length
        : this.#pastQuoted(token, found.index);
      // What touches the end of the text may go on in the next piece.
      if ((past === null || past === text.length) && !this.#ended) {
        this.#at = found.index;
        return null;
      }
      this.#at = past ?? text.length;
      this.#note(token);
    }
    if (!this.#ended) {
      // The first half of `--` or of `/*` may be its last character.
      this.#at = Math.max(this.#at, text.length - 1);
      return null;
    }
    return text.length > 0 ? text.length : null;
  }

  /** Behind the quoted thing or comment that begins at `start`; null: its end is not there yet. */
  #pastQuoted(opening: string, start: number): number | null {
    const end = ENDS[opening];
    if (end !== undefined) {
      const at = this.#text.indexOf(end, start + opening.length);
      return at < 0 ? null : at + end.length;
    }
    // A doubled quote is one inside: it ends here and begins again.
    const at = this.#text.indexOf(opening, start + 1);
    return at < 0 ? null : at + 1;
  }

  #note(token: string): void {
    if (token === '--' || token === '/*') return;
    const word = token.toUpperCase();
    if (this.#words.length < 3) this.#words.push(word);
    if (this.#isTrigger()) this.#before = word === 'END' && this.#before === ';' ? 'END' : '';
  }

  #isTrigger(): boolean {
    const words = this.#words;
    return (
      words[0] === 'CREATE' && (TRIGGER.test(words.slice(0, 2).join(' ')) || TRIGGER.test(words.join(' ')))
    );
  }

  #tooLong(): AtollError {
    const message = `statement ${this.number} in line ${this.#line} is longer than ${STATEMENT_CHARACTERS_MAX} characters`;
    return new AtollError('too-large', message, 'none', { line: this.#line, statement: this.number });
  }
}

function newlinesIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
