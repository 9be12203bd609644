// The last two minutes of every line, kept while the page is open. A failed or missed refresh leaves
// a gap that no sparkline is drawn across.

import type { UsageField } from './usage';

export const SPAN_MS = 120_000;
/** The columns that a sparkline can show. */
export const TRENDS = ['heap', 'cpu', 'alloc', 'tasks', 'rate', 'flight'] as const satisfies readonly UsageField[];
export type Trend = (typeof TRENDS)[number];
export type Sample = Record<Trend, number>;

/** A longer pause between two refreshes is a gap. */
const GAP_MS = 7_000;

interface Track {
  at: number[];
  /** Older ones, from the archive, have only some of the trends. */
  samples: Partial<Sample>[];
  /** The distance of the points from the archive, in ms. */
  step: number;
}

export interface Point {
  at: number;
  value: number;
  /** A longer pause before it is a gap, in ms. */
  gap?: number;
}

export class History {
  private readonly tracks = new Map<string, Track>();

  /** Adds one sample per line; a line that disappeared is dropped after two minutes. */
  add(at: number, samples: Iterable<readonly [string, Sample]>): void {
    for (const [key, sample] of samples) {
      let track = this.tracks.get(key);
      if (track === undefined) {
        track = { at: [], samples: [], step: 0 };
        this.tracks.set(key, track);
      }
      track.at.push(at);
      track.samples.push(sample);
    }
    for (const [key, track] of this.tracks) {
      let old = 0;
      while (old < track.at.length && track.at[old] <= at - SPAN_MS) old++;
      track.at.splice(0, old);
      track.samples.splice(0, old);
      if (track.at.length === 0) this.tracks.delete(key);
    }
  }

  /** Puts points of the archive before those that the page has seen, so that a sparkline does not begin with a dot. */
  seed(key: string, trend: Trend, points: readonly { at: number; value: number }[], step: number): void {
    const track = this.tracks.get(key);
    if (track === undefined || track.at.length === 0) return;
    track.step = step;
    const isSeen = (sample: Partial<Sample>): boolean => Object.keys(sample).length === TRENDS.length;
    const seen = track.at[track.samples.findIndex(isSeen)];
    for (const { at, value } of points) {
      if (at >= seen) continue;
      const next = track.at.findIndex((other) => other >= at);
      if (track.at[next] === at) track.samples[next] = { ...track.samples[next], [trend]: value };
      else {
        track.at.splice(next, 0, at);
        track.samples.splice(next, 0, { [trend]: value });
      }
    }
  }

  of(key: string, trend: Trend): Point[] {
    const track = this.tracks.get(key);
    if (track === undefined) return [];
    const gap = (value: Partial<Sample>): number => (Object.keys(value).length === TRENDS.length ? GAP_MS : track.step * 1.75);
    return track.at.flatMap((at, i) => {
      const value = track.samples[i][trend];
      // The first point that the page saw follows one of the archive.
      return value === undefined ? [] : [{ at, value, gap: i > 0 ? Math.max(gap(track.samples[i]), gap(track.samples[i - 1])) : GAP_MS }];
    });
  }

  /** The difference between the latest and the oldest sample. */
  change(key: string, trend: Trend): number {
    const points = this.of(key, trend);
    return points.length < 2 ? 0 : points[points.length - 1].value - points[0].value;
  }

  get size(): number {
    return this.tracks.size;
  }
}

/**
 * The points as an SVG path in a box, now at the right edge and zero at the bottom. The height of the
 * box is at least the value `least`, so that noise of a small value stays small.
 */
export function path(points: readonly Point[], now: number, least: number, width: number, height: number): string {
  const most = points.reduce((m, p) => Math.max(m, p.value), least);
  if (points.length === 0 || !(most > 0)) return '';
  const x = (at: number): number => width * (1 - (now - at) / SPAN_MS);
  const y = (value: number): number => height - 1 - (Math.max(0, value) / most) * (height - 2);
  let out = '';
  let last = -Infinity;
  for (const { at, value, gap = GAP_MS } of points) {
    out += `${at - last > gap ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    last = at;
  }
  return out;
}
