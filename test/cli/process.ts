import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const STAND_IN = join(ROOT, 'test', 'cli', 'stand-in', 'wrangler.toml');

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /** Written to standard input, which is then closed. */
  readonly input?: string;
  /** Another program than bin/atoll. */
  readonly program?: readonly string[];
}

export interface Running {
  readonly child: ChildProcess;
  /** Resolves with the first match in the standard output; rejects if the process ends before. */
  seen(pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `bin/atoll`, without colours and with nothing of the caller's ATOLL_ settings. */
export function start(args: readonly string[], options: RunOptions = {}): Running {
  const [program = '', ...first] = options.program ?? [join(ROOT, 'bin', 'atoll')];
  const { ATOLL_URL: _url, ATOLL_TOKEN: _token, ATOLL_SECRET: _secret, ...inherited } = process.env;
  const child = spawn(program, [...first, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...inherited, NO_COLOR: '1', ...options.env },
    stdio: 'pipe',
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...output }));
  });
  const seen = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(output.stdout);
        if (match !== null) resolve(match);
      };
      child.stdout?.on('data', look);
      look();
      void ended.then(({ code, stderr }) =>
        reject(new Error(`ended with ${code} before ${pattern}: ${stderr}`)),
      );
    });
  return { child, seen, ended };
}

/** Runs `bin/atoll` to its end. */
export function run(args: readonly string[], options?: RunOptions): Promise<Ended> {
  return start(args, options).ended;
}

/** A directory that `remove` deletes. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'atoll-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}
