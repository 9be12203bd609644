// Numbers as a person reads them, by the unit of the profile type.

export type Unit = 'nanoseconds' | 'bytes' | 'count' | (string & {});

function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

function scaled(value: number, steps: readonly (readonly [number, string])[]): string {
  if (value === 0) return `0 ${steps[steps.length - 1][1]}`.trim();
  for (const [size, name] of steps) {
    // The share is of the rounded value, so that 999.996 does not become "1000".
    if (Math.abs(value) >= size * 0.9995) return `${digits(value / size)} ${name}`.trim();
  }
  const [size, name] = steps[steps.length - 1];
  return `${digits(value / size)} ${name}`.trim();
}

const TIME = [
  [86_400e9, 'd'], [3_600e9, 'h'], [60e9, 'min'], [1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns'],
] as const;
const BYTES = [
  [1024 ** 5, 'PiB'], [1024 ** 4, 'TiB'], [1024 ** 3, 'GiB'], [1024 ** 2, 'MiB'], [1024, 'KiB'], [1, 'B'],
] as const;
const COUNT = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k', 1e3]] as const;

export function formatValue(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return '–';
  if (unit === 'nanoseconds') return scaled(value, TIME);
  if (unit === 'bytes') return scaled(value, BYTES);
  const tail = unit === 'count' || unit === '' ? '' : ` ${unit}`;
  for (const [from, name, by] of COUNT.map(([f, nm, b]) => [f, nm, b ?? f] as const)) {
    if (Math.abs(value) >= from) return `${digits(value / by)} ${name}${tail}`;
  }
  return `${Number.isInteger(value) ? value : digits(value)}${tail}`;
}

/** A share as per cent; what is there but tiny never reads as nothing. */
export function formatShare(part: number, whole: number): string {
  if (!(whole > 0)) return '–';
  const p = (part / whole) * 100;
  if (p === 0) return '0 %';
  if (Math.abs(p) < 0.01) return '< 0.01 %';
  if (Math.abs(p) >= 99.995) return `${p.toFixed(0)} %`;
  return `${Math.abs(p) >= 10 ? p.toFixed(1) : p.toFixed(2)} %`;
}

export function formatCount(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', '\u202f');
}

const KNOWN: Record<string, string> = {
  'process_cpu:cpu': 'CPU time',
  'process_cpu:samples': 'CPU samples',
  'wall:wall': 'Wall time',
  'memory:inuse_space': 'Heap in use, bytes',
  'memory:inuse_objects': 'Heap in use, objects',
  'memory:alloc_space': 'Allocated, bytes',
  'memory:alloc_objects': 'Allocated, objects',
  'tasks:tasks': 'Tasks alive',
  'tasks:age': 'Age of tasks',
  'tasks:polls': 'Polls of tasks',
};

/** `process_cpu:cpu:nanoseconds:cpu:nanoseconds` as "CPU time"; an unknown type by its own words. */
export function typeLabel(id: string): string {
  const [name = '', type = ''] = id.split(':');
  return KNOWN[`${name}:${type}`] ?? (type && type !== name ? `${name} ${type}` : name).replaceAll('_', ' ');
}

export function typeUnit(id: string): Unit {
  return id.split(':')[2] ?? '';
}

/** Types whose values are averages over the range, not sums. */
export function isGauge(id: string): boolean {
  return /:inuse_/.test(id) || id.startsWith('tasks:');
}

const two = (n: number): string => String(n).padStart(2, '0');

/** Local time; the date only when it is not the day of `now`. */
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

/** 90 s as "1 min 30 s": two units at most. */
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
