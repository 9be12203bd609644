// Quantities as people read them: a unit, and at most three significant digits. Counts are exact.

export type Unit = 'nanoseconds' | 'bytes' | 'count' | (string & {});

/** Three significant digits, and all digits of the integer part. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

/** Steps are [first value shown in the unit, size of the unit, its symbol], largest first. */
function scaled(value: number, steps: readonly (readonly [number, number, string])[], zero: string): string {
  if (value === 0) return zero;
  for (const [from, size, symbol] of steps) {
    // Compared after rounding, so that 999.996 ms is shown as 1.00 s.
    if (Math.abs(value) >= from * 0.9995) return `${digits(value / size)} ${symbol}`;
  }
  const [, size, symbol] = steps[steps.length - 1];
  return `${digits(value / size)} ${symbol}`;
}

const MINUTE = 60e9;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME = [
  [100 * HOUR, DAY, 'd'], [2 * HOUR, HOUR, 'h'], [2 * MINUTE, MINUTE, 'min'], [1e9, 1e9, 's'], [1e6, 1e6, 'ms'], [1e3, 1e3, 'µs'], [1, 1, 'ns'],
] as const;
const BYTES = ['PiB', 'TiB', 'GiB', 'MiB', 'KiB'].map((symbol, i): [number, number, string] => [1000 * 1024 ** (4 - i), 1024 ** (5 - i), symbol]);
const COUNT = [[1e12, 1e12, 'T'], [1e9, 1e9, 'G'], [1e6, 1e6, 'M'], [1e4, 1e3, 'k']] as const;

/** A value in the unit of its profile type: `1.25 s`, `12.3 MiB`, `17`, `1 goroutine`. */
export function formatValue(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return '–';
  if (unit === 'nanoseconds') return scaled(value, TIME, '0 s');
  if (unit === 'bytes') return formatBytes(value);
  const size = Math.abs(value);
  const whole = Number.isInteger(value) ? String(value) : digits(value);
  const number = size >= 1e4 ? scaled(value, COUNT, '0') : whole;
  return unit === 'count' || unit === '' ? number : `${number} ${size === 1 ? singular(unit) : unit}`;
}

function formatBytes(value: number): string {
  // Up to 999 B: four digits would not fit, and 999.5 rounds to four.
  return Math.abs(value) < 999.5 ? `${value.toFixed(0)} B` : scaled(value, BYTES, '0 B');
}

const singular = (unit: string): string => unit.replace(/([^s])s$/, '$1');

export const formatSeconds = (seconds: number): string => formatValue(seconds * 1e9, 'nanoseconds');

/** A share in per cent; a small share is never shown as 0%. */
export function formatShare(part: number, whole: number): string {
  return whole > 0 ? formatPercent((part / whole) * 100) : '–';
}

export function formatPercent(percent: number): string {
  const size = Math.abs(percent);
  if (size === 0) return '0%';
  return size < 0.01 ? '<0.01%' : `${size > 99.99 && size < 100.5 ? '100' : digits(percent)}%`;
}

export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 frame`, `2,000 frames`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** Local time; preceded by the date unless that is the date of `now`. */
export function formatTime(ms: number, now: number, seconds = true): string {
  const t = new Date(ms);
  const day = new Date(now);
  const clock = `${two(t.getHours())}:${two(t.getMinutes())}${seconds ? `:${two(t.getSeconds())}` : ''}`;
  return t.toDateString() === day.toDateString() ? clock : `${formatDate(ms)} ${clock}`;
}

export function formatDate(ms: number): string {
  const t = new Date(ms);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
}

/** The length of a range in at most two units: 90 s is `1 min 30 s`. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms / 1000);
  if (rest < 1) return `${Math.round(ms)} ms`;
  const parts: string[] = [];
  for (const [size, name] of [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']] as const) {
    const whole = Math.floor(rest / size);
    if (whole > 0 && parts.length < 2) parts.push(`${whole} ${name}`);
    else if (parts.length > 0) break;
    rest -= whole * size;
  }
  return parts.join(' ');
}
