import { realOrNull } from '../evaluate/number.ts';

/** Kahan–Babuška summation (Neumaier's form), as SQLite's sum() since 3.43. */
export class RealSum {
  #sum = 0;
  #error = 0;

  add(value: number): void {
    const next = this.#sum + value;
    const lost = Math.abs(this.#sum) > Math.abs(value) ? this.#sum - next + value : value - next + this.#sum;
    this.#error += lost;
    this.#sum = next;
  }

  /** NULL if it is not a number: infinities of both signs. */
  result(): number | null {
    const whole = this.#sum + this.#error;
    return realOrNull(Number.isFinite(this.#error) ? whole : this.#sum);
  }
}
