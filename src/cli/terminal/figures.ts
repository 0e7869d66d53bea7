const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 171,075 */
export function count(value: number): string {
  return grouped.format(value);
}

/** `1 row`, `3 rows` */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** 16.3 MB: powers of 1000, as disks are sold. */
export function bytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1000;
    unit++;
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${BYTE_UNITS[unit]}`;
}

/** 0.84 ms, 12 ms, 3.2 s, 2 min 5 s */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}
