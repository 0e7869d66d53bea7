import { AtollError, type Client, type QueryResult, type SqlOutput } from '../../client/index.ts';
import { footer } from '../answer.ts';
import { CliError } from '../failure.ts';
import { SUMMARY } from '../host-columns.ts';
import type { HostEntry } from '../host-list.ts';
import { renderColumns } from '../terminal/columns.ts';
import { bytes, duration, plural } from '../terminal/figures.ts';
import { highlightSql } from '../terminal/highlight.ts';
import { type Style, widthOf } from '../terminal/style.ts';
import { renderTable } from '../terminal/table.ts';

const MARGIN = '  ';
/** Room for the names of a plan's steps. */
const PLAN_LABEL = 20;

/** Where the tour happens: runs statements, and shows each with its plan and its answer. */
export class Stage {
  readonly client: Client;
  /** For files; removed at the end. */
  readonly directory: string;
  readonly #output: NodeJS.WriteStream;
  readonly #style: Style;

  constructor(client: Client, directory: string, output: NodeJS.WriteStream, style: Style) {
    this.client = client;
    this.directory = directory;
    this.#output = output;
    this.#style = style;
  }

  heading(text: string, aside = ''): void {
    const width = Math.min(widthOf(this.#output), 100);
    const rule = '─'.repeat(Math.max(0, width - text.length - aside.length - 5));
    this.#say(
      `\n${this.#style.dim('──')} ${this.#style.bold(text)} ${this.#style.dim(`${rule}${aside === '' ? '' : ` ${aside}`}`)}`,
    );
  }

  note(text: string): void {
    this.#say(
      wrap(text, Math.min(widthOf(this.#output), 100) - MARGIN.length)
        .map((line) => MARGIN + line)
        .join('\n'),
    );
  }

  /** A statement that should answer. */
  async query(sql: string): Promise<void> {
    await this.answer(sql, (text) => this.client.query(text));
    await this.#plan(sql);
  }

  /** A statement that somebody else than the cluster's router may answer. */
  async answer(sql: string, ask: (sql: string) => Promise<QueryResult>): Promise<void> {
    this.#statement(sql);
    const startedAt = performance.now();
    const result = await ask(sql);
    const ms = performance.now() - startedAt;
    if (result.columns.length > 0) this.#table(result.columns, result.rows);
    this.#fact(footer(result, ms));
  }

  hosts(hosts: readonly HostEntry[]): void {
    const width = Math.min(widthOf(this.#output), 100) - MARGIN.length;
    this.#indented(renderColumns(SUMMARY, hosts, { width, style: this.#style }));
  }

  /** What EXPLAIN says, a line each; the longest part, what each partition runs, on as many as it takes. */
  async #plan(sql: string): Promise<void> {
    if (!/^\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b/i.test(sql)) return;
    const { rows } = await this.client.query(`EXPLAIN ${sql}`);
    const width = Math.min(widthOf(this.#output), 100) - MARGIN.length - PLAN_LABEL;
    for (const [step, detail] of rows) {
      // The statement itself names the tables, and the line above the partition.
      if (/tables$|^partitions?$/.test(String(step))) continue;
      const [first = '', ...rest] = wrap(String(detail), width);
      this.#fact(`${String(step).padEnd(PLAN_LABEL)}${first}`);
      for (const line of rest) this.#fact(' '.repeat(PLAN_LABEL) + line);
    }
  }

  /** A statement that should be refused; being done is the failure. */
  refused(sql: string): Promise<void> {
    this.#statement(sql);
    return this.#refusal(() => this.client.query(sql));
  }

  refusedBatch(statements: readonly string[]): Promise<void> {
    this.#statement(statements.map((sql) => `${sql};`).join('\n'));
    return this.#refusal(() => this.client.batch(statements));
  }

  command(text: string): void {
    this.#say(`\n${MARGIN}${this.#style.dim('$')} ${text}`);
  }

  done(size: number, ms: number): void {
    this.#fact(`${bytes(size)} · ${duration(ms)}`);
  }

  rows(columns: readonly string[], rows: readonly (readonly SqlOutput[])[], ms: number): void {
    this.#table(columns, rows);
    this.#fact(`${plural(rows.length, 'row')} · ${duration(ms)}`);
  }

  async #refusal(attempt: () => Promise<unknown>): Promise<void> {
    const error = await attempt().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof AtollError)) throw error ?? new CliError('this should have been refused');
    if (error.status >= 500 || error.status === 0) throw error;
    const lines = wrap(error.message, Math.min(widthOf(this.#output), 100) - 4 - error.code.length);
    this.#say(`\n${MARGIN}${this.#style.yellow(error.code)}: ${lines.join(`\n${MARGIN}`)}`);
  }

  #statement(sql: string): void {
    const lines = highlightSql(sql, this.#style).split('\n');
    this.#say(`\n${lines.map((line) => `${MARGIN}${this.#style.cyan('▏')} ${line}`).join('\n')}`);
  }

  #table(columns: readonly string[], rows: readonly (readonly SqlOutput[])[]): void {
    const width = Math.min(widthOf(this.#output), 100) - MARGIN.length;
    this.#indented(renderTable(columns, rows, { width, style: this.#style }));
  }

  #indented(table: string): void {
    this.#say(
      `\n${table
        .split('\n')
        .map((line) => MARGIN + line)
        .join('\n')}`,
    );
  }

  #fact(text: string): void {
    this.#say(`${MARGIN}${this.#style.dim(text)}`);
  }

  #say(text: string): void {
    this.#output.write(`${text}\n`);
  }
}

/** Lines of whole words. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}
