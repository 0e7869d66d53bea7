import type { Plan } from '../../core/plan/plan.ts';
import { Counter, Histogram, type Metric } from './metric.ts';

/** Upper bounds in seconds (chosen: a routed read takes some milliseconds, a request at most two minutes). */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];
/** Upper bounds in partitions: up to the most that a database starts with. */
const PARTITIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Why a request was sent once more. */
export type RetryReason =
  /** The partition knew a newer schema or epoch. */
  | 'stale'
  /** A read's answer was lost. */
  | 'lost-read'
  | 'lost-write'
  /** A transaction lost against an older one. */
  | 'conflict'
  /** It was to be refused, and the router made sure that its schema is the newest. */
  | 'refused'
  /** A read's object could not be reached, and an agent has answered it. */
  | 'elsewhere'
  /** Rows that a read of several partitions has seen changed before it was certified. */
  | 'uncertified';

/** What one router has done since it started. In a Worker each isolate is a router, and ends without notice. */
export class RouterMetrics {
  readonly requests = new Counter('atoll_requests_total', 'Requests answered.', ['route', 'status']);
  readonly durations = new Histogram(
    'atoll_request_duration_seconds',
    "From a request's arrival to its answer's head.",
    SECONDS,
    ['route'],
  );
  readonly plans = new Counter('atoll_plans_total', 'Statements by their plan.', ['kind']);
  readonly retries = new Counter('atoll_retries_total', 'Requests that were sent again.', ['reason']);
  readonly fanOut = new Histogram('atoll_scatter_partitions', 'Partitions that a read asked.', PARTITIONS);
  readonly certifications = new Counter(
    'atoll_certifications_total',
    'Strong reads of several partitions that were to be certified.',
    ['result'],
  );
  readonly importedRows = new Counter('atoll_import_rows_total', 'Rows that imports have added.');
  readonly slow = new Counter('atoll_slow_requests_total', 'Requests that took longer than the limit.');

  answered(route: string, status: number, milliseconds: number): void {
    this.requests.add(1, route, String(status));
    this.durations.observe(milliseconds / 1000, route);
  }

  planned(plan: Plan): void {
    this.plans.add(1, plan.kind);
  }

  retried(reason: RetryReason): void {
    this.retries.add(1, reason);
  }

  /** Whether nothing of what a read has seen had changed when all partitions had answered. */
  certified(result: boolean): void {
    this.certifications.add(1, result ? 'certified' : 'failed');
  }

  text(): string {
    const all: readonly Metric[] = [
      this.requests,
      this.durations,
      this.plans,
      this.retries,
      this.fanOut,
      this.certifications,
      this.importedRows,
      this.slow,
    ];
    return all.map((metric) => metric.text()).join('');
  }
}
