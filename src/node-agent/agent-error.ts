/** Why an agent cannot start or go on, and what its operator can do about it. */
export class AgentError extends Error {
  override name = 'AgentError';
  /** An instruction. */
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}
