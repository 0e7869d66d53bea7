import type { Client, SqlOutput } from '../../client/index.ts';
import { highlightSql } from '../terminal/highlight.ts';
import { styleFor, widthOf } from '../terminal/style.ts';
import { renderTable } from '../terminal/table.ts';
import type { PromptState } from './prompt.ts';

const HELP = `  .tables            the tables and how their rows are spread
  .schema [TABLE]    the statements that make them
  .plan on|off       show each statement's plan and the reason for it
  .help              this
  .quit              leave; so does Ctrl-D

A statement ends with \`;\` and may go over several lines. Ctrl-C drops it.
`;

/** Runs a command that starts with a point. `.quit` is the prompt's own. */
export async function runDotCommand(
  line: string,
  client: Client,
  state: PromptState,
  output: NodeJS.WriteStream,
): Promise<void> {
  const [name = '', argument = ''] = line.split(/\s+/, 2);
  const style = styleFor(output);
  if (name === '.help') output.write(HELP);
  else if (name === '.tables') output.write(await tables(client, output));
  else if (name === '.schema') output.write(await schema(client, argument, output));
  else if (name === '.plan' && /^(on|off)$/.test(argument)) state.showPlan = argument === 'on';
  else if (name === '.plan')
    output.write(`${style.dim(`plans are ${state.showPlan ? 'on' : 'off'}; .plan on|off`)}\n`);
  else output.write(`${style.red('error:')} no command ${name}; .help lists them\n`);
}

async function tables(client: Client, output: NodeJS.WriteStream): Promise<string> {
  const entries = await schemaTables(client);
  if (entries.length === 0) return 'no tables\n';
  const rows = entries.map(({ name, placement }): SqlOutput[] => [name, placement]);
  return `${renderTable(['table', 'rows are'], rows, { width: widthOf(output), style: styleFor(output) })}\n`;
}

async function schema(client: Client, table: string, output: NodeJS.WriteStream): Promise<string> {
  const wanted = table.toLowerCase();
  const entries = (await schemaTables(client)).filter(
    ({ name }) => wanted === '' || name.toLowerCase() === wanted,
  );
  if (entries.length === 0) return table === '' ? 'no tables\n' : `no table ${table}\n`;
  const style = styleFor(output);
  return entries
    .map((entry) => {
      if (entry.sql !== '') return `${highlightSql(entry.sql, style)};\n`;
      const columns = renderTable(['column', 'type', 'not null', 'key'], entry.columns, {
        width: widthOf(output),
        style,
      });
      return `${style.bold(entry.name)}  ${style.dim(entry.placement)}\n${columns}\n`;
    })
    .join('\n');
}

interface TableEntry {
  readonly name: string;
  /** Empty where the server does not say it; then the columns are shown instead. */
  readonly sql: string;
  readonly placement: string;
  readonly columns: readonly (readonly SqlOutput[])[];
}

async function schemaTables(client: Client): Promise<TableEntry[]> {
  const reply = (await client.schema()) as { tables?: Record<string, unknown>[] };
  return (reply.tables ?? []).map((table) => ({
    name: String(table.name),
    sql: String(table.sql ?? ''),
    placement: placementText(table.placement),
    columns: ((table.columns ?? []) as Record<string, unknown>[]).map(columnRow),
  }));
}

function columnRow(column: Record<string, unknown>): SqlOutput[] {
  const { name, type, notNull, primaryKey } = column;
  const place = typeof primaryKey === 'number' && primaryKey > 0 ? `primary ${primaryKey}` : '';
  return [String(name), String(type ?? ''), notNull === true ? 'yes' : '', place];
}

function placementText(placement: unknown): string {
  const { kind, key } = (placement ?? {}) as { kind?: string; key?: string[] };
  if (kind === 'reference') return 'in every partition';
  return kind === 'partitioned' ? `partitioned by (${(key ?? []).join(', ')})` : '';
}
