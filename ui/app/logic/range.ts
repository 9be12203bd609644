// Ranges of time: relative ones move with the clock, absolute ones stay.

import { type Millis, millis } from './units';

/** As typed and as kept in the URL: `now-1h`, `now`, unix milliseconds or RFC 3339. */
export interface Range {
  from: string;
  until: string;
}

export interface Span {
  from: Millis;
  until: Millis;
}

export const PRESETS = [
  { label: '15m', name: 'last 15 minutes', from: 'now-15m' },
  { label: '1h', name: 'last hour', from: 'now-1h' },
  { label: '6h', name: 'last 6 hours', from: 'now-6h' },
  { label: '24h', name: 'last 24 hours', from: 'now-24h' },
  { label: '7d', name: 'last 7 days', from: 'now-7d' },
] as const;

export const DEFAULT_RANGE: Range = { from: 'now-1h', until: 'now' };
/** In place of the default where all that there is lies in its last part: a Davy that is young. */
export const FRESH_RANGE: Range = { from: 'now-15m', until: 'now' };
const FRESH_MS = 15 * 60_000;

/** Whether somebody has chosen the range, be it the same as the default: these two are known by identity. */
export const isChosen = (range: Range): boolean => range !== DEFAULT_RANGE && range !== FRESH_RANGE;

/** Whether the points of a timeline, and there are some, all lie within the fresh range. */
export function isFresh(series: { points: [number, number][] }[], until: number): boolean {
  const first = series.reduce((least, { points }) => points.reduce((m, [t]) => Math.min(m, t), least), Infinity);
  return first !== Infinity && first >= until - FRESH_MS;
}

const UNITS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** Null when the text is none of the forms. */
export function parseInstant(text: string, now: number): Millis | null {
  const t = text.trim();
  if (t === 'now') return millis(now);
  const relative = /^now-(\d+)([smhdw])$/.exec(t);
  if (relative) return millis(now - Number(relative[1]) * UNITS[relative[2]]);
  if (/^\d{10,14}$/.test(t)) return millis(Number(t));
  if (/^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.test(t)) {
    const ms = Date.parse(t.length > 10 ? t.replace(' ', 'T') : `${t}T00:00`);
    return Number.isNaN(ms) ? null : millis(ms);
  }
  return null;
}

/** Null when an end is unreadable or the range is empty. */
export function resolve(range: Range, now: number): Span | null {
  const from = parseInstant(range.from, now);
  const until = parseInstant(range.until, now);
  if (from === null || until === null || from >= until) return null;
  return { from, until };
}

export function isRelative(range: Range): boolean {
  return range.until === 'now' && range.from.startsWith('now-');
}

/** Twice as wide about the same middle, and never past now. */
export function widened(span: Span, now: number): Span {
  const width = span.until - span.from;
  const until = Math.min(now, span.until + width / 2);
  return { from: millis(Math.round(until - 2 * width)), until: millis(Math.round(until)) };
}

export function absolute(span: Span): Range {
  return { from: String(Math.round(span.from)), until: String(Math.round(span.until)) };
}

const STEPS = [
  10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800,
];

/**
 * Seconds a bucket, so that about 300 fit into the span. Each is a multiple of the profiler's window
 * of 10 s: buckets of 15 s would hold one window and two in turn, and the timeline would comb.
 */
export function stepFor(span: Span, points = 300): number {
  const wanted = (span.until - span.from) / 1000 / points;
  return STEPS.find((s) => s >= wanted) ?? STEPS[STEPS.length - 1];
}
