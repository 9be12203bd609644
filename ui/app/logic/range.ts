// Time ranges: relative ones move with the clock, absolute ones are fixed.

import { type Zone, parseAgo, parseInstant } from './instant';
import { type Millis, millis } from './units';

/** Both ends as they are written in the URL, in any form that `parseInstant` reads. */
export interface Range {
  from: string;
  until: string;
}

export interface Span {
  from: Millis;
  until: Millis;
}

export const PRESETS = [
  { label: '15m', name: 'Last 15 minutes', from: 'now-15m' },
  { label: '1h', name: 'Last hour', from: 'now-1h' },
  { label: '6h', name: 'Last 6 hours', from: 'now-6h' },
  { label: '24h', name: 'Last 24 hours', from: 'now-24h' },
  { label: '7d', name: 'Last 7 days', from: 'now-7d' },
] as const;

export const DEFAULT_RANGE: Range = { from: 'now-1h', until: 'now' };
/** Replaces the default range when all data lies in its last part, as it does shortly after a first start. */
export const FRESH_RANGE: Range = { from: 'now-15m', until: 'now' };
const FRESH_MS = 15 * 60_000;

/** Whether the user chose the range. The two defaults are compared by identity: a user may choose an equal range. */
export const isChosen = (range: Range): boolean => range !== DEFAULT_RANGE && range !== FRESH_RANGE;

/** Whether a timeline has points and all of them lie within the fresh range. */
export function isFresh(series: { points: [number, number][] }[], until: number): boolean {
  const first = series.reduce((least, { points }) => points.reduce((m, [t]) => Math.min(m, t), least), Infinity);
  return first !== Infinity && first >= until - FRESH_MS;
}

/** Null if an end is invalid or the range is empty. */
export function resolve(range: Range, now: number, zone: Zone = 'utc'): Span | null {
  const from = parseInstant(range.from, now, zone);
  const until = parseInstant(range.until, now, zone);
  if (from === null || until === null || from >= until) return null;
  return { from, until };
}

/**
 * A range typed in local time, as it goes into the URL: absolute ends as unix milliseconds, so that a
 * link means the same range in every time zone. Null if an end is invalid or the range is empty.
 */
export function rangeFromFields(from: string, until: string, now: number): Range | null {
  const span = resolve({ from, until }, now, 'local');
  if (span === null) return null;
  const written = (text: string, ms: Millis): string => {
    const t = text.trim();
    if (parseAgo(t) === null) return String(Math.round(ms));
    return t === 'now' || t.startsWith('now') ? t : `now-${t.replace(/^-\s*/, '')}`;
  };
  return { from: written(from, span.from), until: written(until, span.until) };
}

/** Whether the range ends now and moves with the clock. */
export function isRelative(range: Range): boolean {
  return range.until === 'now' && parseAgo(range.from) !== null;
}

/** Twice as wide around the same middle, but not past now. */
export function widened(span: Span, now: number): Span {
  const width = span.until - span.from;
  const until = Math.min(now, span.until + width / 2);
  return { from: millis(Math.round(until - 2 * width)), until: millis(Math.round(until)) };
}

export function absolute(span: Span): Range {
  return { from: String(Math.round(span.from)), until: String(Math.round(span.until)) };
}

/**
 * The range that shows a selected part: the range itself if the part is within it, otherwise one of at least the same
 * length around the part. A selection stays visible when a range that moves with the clock has left it behind.
 */
export function showing(span: Span, part: Span | null): Span {
  if (part === null || (part.from >= span.from && part.until <= span.until)) return span;
  const width = Math.max(span.until - span.from, (part.until - part.from) * 1.25);
  const from = part.from < span.from ? part.from - width * 0.1 : part.until + width * 0.1 - width;
  return { from: millis(Math.round(from)), until: millis(Math.round(from + width)) };
}

/**
 * The selection after a key press: moved by a bar, or with another end. Without a selection, the last bar is selected. It
 * stays within `first` and `last`, and is at least a bar long.
 */
export function moved(part: Span | null, by: number, isEnd: boolean, first: number, last: number, bar: number): Span {
  if (part === null) return { from: millis(last - bar), until: millis(last) };
  if (isEnd) return { from: part.from, until: millis(Math.min(last, Math.max(part.from + bar, part.until + by))) };
  const shift = Math.min(last - part.until, Math.max(first - part.from, by));
  return { from: millis(part.from + shift), until: millis(part.until + shift) };
}
