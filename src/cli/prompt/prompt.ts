import { createInterface } from 'node:readline/promises';
import { type Client, isComplete, SqlSyntaxError, scriptRequests } from '../../client/index.ts';
import { renderAnswer } from '../answer.ts';
import { describeFailure } from '../failure.ts';
import { planReason, planSummary } from '../plan-text.ts';
import { answersOf } from '../query-pages.ts';
import { styleFor, widthOf } from '../terminal/style.ts';
import { runDotCommand } from './dot-command.ts';
import { historyFile, readHistory, writeHistory } from './history.ts';

export interface PromptStreams {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WriteStream;
  readonly history: string;
}

/** What dot commands change. */
export interface PromptState {
  showPlan: boolean;
}

const PROMPT = 'atoll> ';
const CONTINUATION = '  ...> ';

/**
 * Reads statements, which end with `;` and may go over lines, and dot commands, until `.quit` or the end of the
 * input. An error is shown and the prompt goes on. Ctrl-C drops what is typed; on an empty line it says how to leave.
 */
export async function runPrompt(
  client: Client,
  streams: PromptStreams = { input: process.stdin, output: process.stdout, history: historyFile() },
): Promise<void> {
  const { input, output } = streams;
  const style = styleFor(output);
  const lines = createInterface({ input, output, history: readHistory(streams.history), historySize: 1_000 });
  const state: PromptState = { showPlan: false };
  let history: string[] = [];
  // readline hands out its own array, which a listener may change.
  lines.on('history', (entries: string[]) => {
    history = entries;
  });
  output.write(`${style.dim(`${client.url} · .help for help, .quit to leave`)}\n`);

  let typed = '';
  let closed = false;
  lines.on('close', () => {
    closed = true;
  });
  const ask = (): void => {
    // Input that ended still has lines to run, but nobody to ask for more.
    if (closed) return;
    lines.setPrompt(typed === '' ? PROMPT : CONTINUATION);
    lines.prompt();
  };
  lines.on('SIGINT', () => {
    if (typed === '' && lines.line === '') output.write(`\n${style.dim('.quit or Ctrl-D leaves')}`);
    typed = '';
    output.write('\n');
    lines.write(null, { ctrl: true, name: 'e' });
    lines.write(null, { ctrl: true, name: 'u' });
    ask();
  });

  ask();
  for await (const line of lines) {
    if (typed === '' && line.trimStart().startsWith('.')) {
      if (/^\s*\.(quit|exit)\b/.test(line)) break;
      await shown(output, () => runDotCommand(line.trim(), client, state, output));
    } else {
      typed += `${line}\n`;
      if (typed.trim() === '') typed = '';
      if (isComplete(typed)) {
        const script = typed;
        typed = '';
        joinInHistory(history, script);
        await shown(output, () => runTyped(client, script, state, output));
      }
    }
    ask();
  }
  // After Ctrl-D the shell's own prompt would follow ours on the same line.
  if (closed) output.write('\n');
  lines.close();
  if (history.length > 0) writeHistory(streams.history, history);
}

/** A statement of several lines comes back as one, with a single key. */
function joinInHistory(newestFirst: string[], script: string): void {
  const typed = script.trimEnd().split('\n');
  const recent = newestFirst.slice(0, typed.length).reverse();
  // On one line a comment would swallow what follows it.
  if (typed.length < 2 || script.includes('--') || recent.some((line, index) => line !== typed[index]))
    return;
  newestFirst.splice(0, typed.length, typed.map((line) => line.trim()).join(' '));
}

async function runTyped(
  client: Client,
  script: string,
  state: PromptState,
  output: NodeJS.WriteStream,
): Promise<void> {
  const style = styleFor(output);
  for (const statements of scriptRequests(script)) {
    const startedAt = performance.now();
    const { value: result } = await answersOf(client, statements).next();
    if (result === undefined) continue;
    const ms = performance.now() - startedAt;
    if (state.showPlan && result.plan !== undefined) {
      const reason = planReason(result.plan);
      output.write(
        `${style.dim(`plan: ${planSummary(result.plan)}${reason === '' ? '' : ` (${reason})`}`)}\n`,
      );
    }
    output.write(renderAnswer(result, 'table', { width: widthOf(output), style, ms }));
  }
}

async function shown(output: NodeJS.WriteStream, task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    const style = styleFor(output);
    const { message, hint } =
      error instanceof SqlSyntaxError ? { message: error.message, hint: undefined } : describeFailure(error);
    output.write(`${style.red('error:')} ${message}\n`);
    if (hint !== undefined) output.write(`${style.cyan('hint:')}  ${hint}\n`);
  }
}
