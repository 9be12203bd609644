// Quantities as people read them: a number and a unit. The rules are those of
// profiler/profile/src/units.rs, which describes them; the same table tests both.

export type Unit = 'nanoseconds' | 'bytes' | 'count' | (string & {});

/** What a unit measures; `size` is in nanoseconds or bytes. */
type Measure = { of: 'time' | 'size'; size: number } | { of: 'number' } | { of: 'noun' };

const MINUTE = 60e9;
export const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const MEASURES = new Map<string, Measure>();
for (const [size, names] of [
  [1, 'ns nsec nanosecond'], [1e3, 'us \u00b5s \u03bcs usec microsecond'], [1e6, 'ms msec millisecond'],
  [1e9, 's sec second'], [MINUTE, 'min minute'], [HOUR, 'h hr hour'], [DAY, 'd day'],
] as const) {
  for (const name of names.split(' ')) MEASURES.set(name, { of: 'time', size });
}
for (const [power, names] of [
  [0, 'b byte'], [1, 'kb kib kbyte kilobyte kibibyte'], [2, 'mb mib mbyte megabyte mebibyte'],
  [3, 'gb gib gbyte gigabyte gibibyte'], [4, 'tb tib tbyte terabyte tebibyte'], [5, 'pb pib pbyte petabyte pebibyte'],
] as const) {
  for (const name of names.split(' ')) MEASURES.set(name, { of: 'size', size: 1024 ** power });
}
for (const name of ['', 'count']) MEASURES.set(name, { of: 'number' });

export function measureOf(unit: Unit): Measure {
  const lower = unit.toLowerCase();
  // The s of ns is not a plural.
  const name = lower.endsWith('s') && lower.length > 2 ? lower.slice(0, -1) : lower;
  return MEASURES.get(name) ?? { of: 'noun' };
}

/** What a value of one unit is multiplied by to be one of the other; null if they measure different things. */
export function convert(from: Unit, to: Unit): number | null {
  const [a, b] = [measureOf(from), measureOf(to)];
  if ('size' in a && 'size' in b) return a.of === b.of ? a.size / b.size : null;
  return a.of === b.of && (a.of === 'number' || from === to) ? 1 : null;
}

/** [first value shown in the unit, size of the unit, its symbol]. */
type Step = readonly [number, number, string];

export const TIME: readonly Step[] = [
  [0, 1, 'ns'], [1e3, 1e3, 'us'], [1e6, 1e6, 'ms'], [1e9, 1e9, 's'], [2 * MINUTE, MINUTE, 'min'], [2 * HOUR, HOUR, 'h'], [100 * HOUR, DAY, 'd'],
];
export const SIZE: readonly Step[] = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'].map((symbol, i) => [i === 0 ? 0 : 1000 * 1024 ** (i - 1), 1024 ** i, symbol]);
export const SCALE: readonly Step[] = [[0, 1e6, 'M'], [1e9, 1e9, 'G'], [1e12, 1e12, 'T'], [1e15, 1e15, 'P'], [1e18, 1e18, 'E']];
export const EXACT: Step = [0, 1, ''];

/** Rounds half away from zero, with thousands separators. */
export function rounded(value: number, decimals: number): string {
  const power = 10 ** decimals;
  const size = Math.floor(Math.abs(value) * power + 0.5) / power;
  const [integer, fraction] = size.toFixed(decimals).split('.');
  const separated = integer.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${value < 0 && size > 0 ? '-' : ''}${separated}${fraction === undefined ? '' : `.${fraction}`}`;
}

/** Three significant digits, and all digits of the integer part up to a million. */
function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 999_999.5) return value.toExponential(2).replace('e+', 'e');
  return rounded(value, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

/** The largest unit whose first value is reached after rounding to three digits. */
export function stepOf(value: number, steps: readonly Step[]): Step {
  return steps.findLast(([from]) => Math.abs(value) >= from * 0.9995) ?? steps[0];
}

function scaled(value: number, steps: readonly Step[]): string {
  const [, size, symbol] = stepOf(value, steps);
  return `${digits(value / size)} ${symbol}`;
}

/** Counts are exact below a million. */
function formatNumber(value: number): string {
  if (Math.abs(value) >= 1e6) return scaled(value, SCALE);
  return Number.isInteger(value) ? rounded(value, 0) : digits(value);
}

/** A value in the unit of its profile type: `1.25 s`, `12.3 MiB`, `17`, `1 goroutine`. */
export function formatValue(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return '–';
  const measure = measureOf(unit);
  switch (measure.of) {
    case 'time':
      return value === 0 ? '0 s' : scaled(value * measure.size, TIME);
    case 'size': {
      const bytes = value * measure.size;
      // Up to 999 B: four digits would not fit, and 999.5 rounds to four.
      return Math.abs(bytes) < 999.5 ? `${rounded(bytes, 0)} B` : scaled(bytes, SIZE);
    }
    case 'number':
      return formatNumber(value);
    case 'noun':
      return `${formatNumber(value)} ${inflected(unit, value)}`;
  }
}

/** A unit as a noun in the number of the value. Symbols such as `MHz` and `ops/s` are not inflected. */
export function inflected(unit: Unit, value: number): string {
  if (!/^(?=.*[aeiou])[a-z]+$/.test(unit) || ['hertz', 'percent', 'series'].includes(unit)) return unit;
  const one = singular(unit);
  return Math.abs(value) === 1 ? one : plural(one);
}

function singular(noun: string): string {
  if (noun.length > 4 && noun.endsWith('ies')) return `${noun.slice(0, -3)}y`;
  if (/(ss|sh|tch|nch|x)es$/.test(noun)) return noun.slice(0, -2);
  return /[^sui]s$/.test(noun) ? noun.slice(0, -1) : noun;
}

function plural(one: string): string {
  if (/[^aeiou]y$/.test(one)) return `${one.slice(0, -1)}ies`;
  return `${one}${/(s|x|z|ch|sh)$/.test(one) ? 'es' : 's'}`;
}

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

/** `2,000`. The browser's formats take 10 ms to load. */
export function formatCount(value: number): string {
  return Number.isInteger(value) ? String(value).replace(/\d(?=(\d{3})+$)/g, '$&,') : value.toLocaleString('en-US');
}

/** `1 frame`, `2,000 frames`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** Local time; preceded by the date unless that is the date of `now`. */
export function formatTime(ms: number, now: number, seconds = true): string {
  const clock = formatClock(ms, seconds);
  return formatDate(ms) === formatDate(now) ? clock : `${formatDate(ms)} ${clock}`;
}

/**
 * Both ends of a range and its length: `09:00 – 10:00 (1 h)`. Both ends carry their dates unless both are of the day of
 * `now`.
 */
export function formatRange({ from, until }: { from: number; until: number }, now: number, seconds = true): string {
  const isToday = (ms: number): boolean => formatDate(ms) === formatDate(now);
  const dated = !isToday(from) || !isToday(until);
  const end = (ms: number): string => (dated ? `${formatDate(ms)} ` : '') + formatClock(ms, seconds);
  return `${end(from)} – ${end(until)} (${formatDuration(until - from)})`;
}

function formatClock(ms: number, seconds: boolean): string {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}${seconds ? `:${two(t.getSeconds())}` : ''}`;
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
