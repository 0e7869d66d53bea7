import type { RefusalCode } from './refusal-code.ts';

/** Why a statement cannot be planned: thrown inside the analysis and the planner, caught by `planStatement` only. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function refuse(code: RefusalCode, message: string): never {
  throw new Refusal(code, message);
}
