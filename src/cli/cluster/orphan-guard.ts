import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface OrphanGuard {
  /** Call whenever workerd has started: from now on it dies with this process. */
  watch(): void;
  /** Call once workerd has been stopped in order. */
  release(): void;
}

/**
 * workerd outlives a Miniflare that is killed outright, and would go on holding the port and the databases. A shell
 * waits at the other end of a pipe: the pipe ends when this process does, however it does, and the shell then kills
 * the workerd it was last told of. Nothing without a POSIX shell.
 */
export function startOrphanGuard(): OrphanGuard {
  if (process.platform === 'win32') return { watch: () => undefined, release: () => undefined };
  const script = 'while read -r pid; do last=$pid; done; [ -n "$last" ] && kill -9 "$last"';
  // Detached: a Ctrl-C in the terminal must not reach the guard.
  const guard = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  // A pipe of `spawn` is a socket, which would keep this process alive.
  (guard.stdin as unknown as { unref?(): void }).unref?.();
  return {
    watch: () => void guard.stdin.write(`${workerdOf(process.pid) ?? ''}\n`),
    release: () => void guard.stdin.end('\n'),
  };
}

/** The workerd that a process has started last. */
export function workerdOf(parent: number): number | undefined {
  const processes = process.platform === 'linux' ? fromProc() : fromPs();
  return processes.findLast((entry) => entry.parent === parent && /workerd/.test(entry.command))?.pid;
}

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** proc_pid_stat(5): `pid (command) state ppid …`. Slim containers have no `ps`. */
function fromProc(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const match = /^(\d+) \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'));
        return match === null ? [] : [entry(match[1], match[3], match[2])];
      } catch {
        return []; // It ended meanwhile.
      }
    });
}

function fromPs(): ProcessEntry[] {
  try {
    return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,comm='], { encoding: 'utf8' })
      .split('\n')
      .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
      .flatMap((match) => (match === null ? [] : [entry(match[1], match[2], match[3])]));
  } catch {
    return [];
  }
}

function entry(
  pid: string | undefined,
  parent: string | undefined,
  command: string | undefined,
): ProcessEntry {
  return { pid: Number(pid), parent: Number(parent), command: command ?? '' };
}
