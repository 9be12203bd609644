// Time buckets of the timeline. The server counts a window in the time bucket in which it begins, so the bars of a
// steady load would differ by a whole window. Here its value is spread over the window's duration, which is estimated
// from the distances between points, and shown as a rate in buckets that are never shorter than a window.

import type { SeriesAnswer } from '../api/types';

export interface Buckets {
  /** Starts of the time buckets in unix ms, without gaps. */
  times: number[];
  /** The width of a bucket in ms. */
  step: number;
  /** How much of each bucket has data of any series, in ms; 0 is a gap. */
  covered: Float64Array;
  series: { labels: Record<string, string>; present: Uint8Array; sums: Float64Array }[];
}

/** Widths of buckets in seconds. */
const WIDTHS = [10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800];
const BUCKETS_MAX = 5_000;
/** A longer distance to the next point, in windows, is a gap. */
const GAP = 1.75;
/** Windows longer than this are not estimated: their distances are pauses. */
const WINDOW_MAX_MS = 120_000;
/** The longest windows of common agents last 15 s. */
const OWN_MAX_MS = 20_000;
/** The share of distances that must be equal, to one point, for a series to be periodic. */
const REGULAR = 0.8;

/** Seconds per time bucket, for about `points` buckets in the range. */
export function widthFor(rangeMs: number, points = 300): number {
  return WIDTHS.find((width) => width >= rangeMs / 1000 / points) ?? WIDTHS[WIDTHS.length - 1];
}

/** Seconds per point that are requested for buckets of that width: several points per bucket, if they are short. */
export function finestFor(width: number): number {
  if (width >= 600) return width;
  if (width >= 300) return 60;
  if (width >= 120) return 20;
  return width >= 60 ? 10 : 5;
}

/**
 * Spreads the points over buckets of at least `width` ms. `sums` of a type that is added up are values; those of an
 * average are values times milliseconds.
 */
export function spread(answer: SeriesAnswer, width: number, averaged: boolean): Buckets {
  const fine = answer.step_ms;
  if (!(fine > 0)) return { times: [], step: 0, covered: new Float64Array(), series: [] };
  const union = [...new Set(answer.series.flatMap((s) => s.points.map(([t]) => t)))].sort((a, b) => a - b);
  const common = period(union, fine);
  // The windows of several sources alternate, so that those of one are longer than the distances of all. A longer period
  // is that of work, such as a member that ticks every minute, whose value belongs to its windows.
  const most = Math.max(OWN_MAX_MS, 2 * common);
  const own = answer.series.map((s) => {
    const usual = isRegular(s.points, fine) ? period(s.points.map(([t]) => t), fine) : common;
    return usual <= most ? usual : common;
  });
  const longest = own.reduce((most, p) => Math.max(most, p), common) / 1000;
  const shown = Math.max(width, fine) / 1000;
  const step = (shown >= longest ? shown : (WIDTHS.find((w) => w >= longest) ?? shown)) * 1000;

  // The server may not align its points to the step: align to the first point.
  const anchor = union[0] ?? answer.from;
  const least = Math.min(anchor, answer.from);
  const first = anchor - Math.ceil((anchor - least) / step) * step;
  const last = Math.max(answer.until, (union.at(-1) ?? first) + fine);
  const buckets = Math.max(1, Math.min(BUCKETS_MAX, Math.ceil((last - first) / step)));
  const times = Array.from({ length: buckets }, (_, i) => first + i * step);
  const parts = (from: number, until: number, add: (bucket: number, ms: number) => void): void => {
    for (let b = Math.max(0, Math.floor((from - first) / step)); b < buckets && times[b] < until; b++) {
      add(b, Math.min(until, times[b] + step) - Math.max(from, times[b]));
    }
  };

  const covered = new Float64Array(buckets);
  let reached = -Infinity;
  const cover = (from: number, until: number): void => {
    if (until <= reached) return;
    parts(Math.max(from, reached), until, (b, ms) => { covered[b] += ms; });
    reached = until;
  };
  const spans: [number, number][] = [];
  const series = answer.series.map(({ labels, points }, s) => {
    const sums = new Float64Array(buckets);
    const present = new Uint8Array(buckets);
    points.forEach(([t, value], i) => {
      const next = points[i + 1]?.[0] ?? Infinity;
      const until = t + (next - t <= own[s] * GAP ? next - t : own[s]);
      spans.push([t, until]);
      parts(t, until, (b, ms) => {
        present[b] = 1;
        sums[b] += averaged ? value * ms : (value * ms) / (until - t);
      });
    });
    return { labels, present, sums };
  });
  spans.sort((a, b) => a[0] - b[0]);
  for (const [from, until] of spans) cover(from, until);
  return { times, step, covered, series };
}

/** The mean distance between points without pauses: the duration of a window. Single distances are rounded to points. */
function period(times: number[], fine: number): number {
  const gaps = times.slice(1).map((t, i) => t - times[i]).sort((a, b) => a - b);
  const median = gaps[Math.floor((gaps.length - 1) / 2)] ?? fine;
  if (median > WINDOW_MAX_MS) return fine;
  if (gaps.length < 4) return median;
  const usual = gaps.filter((gap) => gap <= Math.max(2 * median, median + fine));
  return usual.length === 0 ? fine : usual.reduce((a, gap) => a + gap, 0) / usual.length;
}

function isRegular(points: [number, number][], fine: number): boolean {
  if (points.length < 4) return false;
  const usual = period(points.map(([t]) => t), fine);
  const equal = points.slice(1).filter(([t], i) => Math.abs(t - points[i][0] - usual) <= fine).length;
  return equal >= REGULAR * (points.length - 1);
}
