import { AtollError } from '../client/index.ts';

/** Exit codes. 2 is what shells use for a wrong call, 130 for an end by Ctrl-C. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** A failure that the user can mend: `hint` says how, as an instruction. */
export class CliError extends Error {
  override name = 'CliError';
  readonly hint: string | undefined;
  readonly exitCode: number;
  constructor(message: string, hint?: string, exitCode: number = EXIT.failed) {
    super(message);
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

export interface FailureText {
  readonly message: string;
  readonly hint: string | undefined;
  readonly exitCode: number;
}

/** What to print about a failure. A defect keeps its stack; all else is a sentence and a remedy. */
export function describeFailure(error: unknown): FailureText {
  if (error instanceof CliError)
    return { message: error.message, hint: error.hint, exitCode: error.exitCode };
  if (error instanceof AtollError) {
    return { message: `${error.message} (${error.code})`, hint: hintFor(error), exitCode: EXIT.failed };
  }
  const system = error as NodeJS.ErrnoException;
  if (system instanceof Error && system.code !== undefined && system.syscall !== undefined) {
    return { message: systemMessage(system), hint: undefined, exitCode: EXIT.failed };
  }
  if (error instanceof TypeError && error.message.startsWith('not an Atoll URL')) {
    return { message: error.message, hint: undefined, exitCode: EXIT.usage };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message: `a defect in atoll: ${stack}`, hint: undefined, exitCode: EXIT.failed };
}

function hintFor(error: AtollError): string | undefined {
  if (error.code === 'unreachable')
    return 'start a local cluster with `atoll dev`, or name another with --url';
  if (error.status === 401) return 'give a token with --token or ATOLL_TOKEN; `atoll dev` prints its own';
  if (error.status === 403)
    return 'this token may not do that; an admin makes others with `atoll token create`';
  if (error.outcome === 'unknown') return 'it may have been applied: look before you run it again';
  return typeof error.detail.hint === 'string' ? error.detail.hint : undefined;
}

function systemMessage(error: NodeJS.ErrnoException): string {
  const target = error.path ?? '';
  if (error.code === 'ENOENT') return `no such file: ${target}`;
  if (error.code === 'EACCES' || error.code === 'EPERM') return `no permission for ${target}`;
  if (error.code === 'EISDIR') return `${target} is a directory`;
  if (error.code === 'ENOSPC') return 'the disk is full';
  return error.message;
}
