import { stat, statfs } from 'node:fs/promises';
import { cpuRating, cpuWorkload } from '../core/network/cpu-rating.ts';

/** Runs of the workload (chosen: the first ones are compiled while they run; all take a tenth of a second). */
const RUNS = 8;

/** How fast this machine is; see core/network/cpu-rating.ts. Blocks for some 100 ms: once, before anything is served. */
export function measureCpu(): number {
  const durations = Array.from({ length: RUNS }, () => {
    const startedAt = performance.now();
    cpuWorkload();
    return performance.now() - startedAt;
  });
  return cpuRating(durations);
}

export interface Space {
  /** What this process may still fill of the file system. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export async function measureSpace(directory: string): Promise<Space> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

/** What replicas take, their logs not yet moved into the files included. */
export async function measureHeld(files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.flatMap((file) => [sizeOf(file), sizeOf(`${file}-wal`)]));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
