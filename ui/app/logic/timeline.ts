// The timeline: the server's series as columns of equal time buckets.

import type { SeriesAnswer } from '../api/types';
import { UNTAGGED, visible } from './names';

export interface PlotLine {
  name: string;
  /** The value of the first grouping label, which determines the colour. */
  group: string;
  /** Whether it sums up the smaller series. */
  rest: boolean;
  sum: number;
  /** One value per time bucket; null where no data was received. */
  values: (number | null)[];
}

export interface Shaped {
  /** Starts of the time buckets in unix ms, without gaps. */
  times: number[];
  step: number;
  lines: PlotLine[];
}

export const TOP = 8;

/**
 * The `top` largest series and, if there are more, one line for the rest. A time bucket without any
 * data is a gap in every line. In a bucket with data of only some series, the others are 0 when
 * stacked and a gap otherwise.
 */
export function shape(answer: SeriesAnswer, by: string[], stacked: boolean, top = TOP): Shaped {
  const step = answer.step_ms;
  if (!(step > 0)) return { times: [], step: 0, lines: [] };
  let first = Math.floor(answer.from / step) * step;
  let last = Math.floor((answer.until - 1) / step) * step;
  for (const s of answer.series) {
    for (const [t] of s.points) {
      if (t < first) first = t;
      if (t > last) last = t;
    }
  }
  // The server may not align its buckets to the step: align to the first point.
  const anchor = answer.series.find((s) => s.points.length > 0)?.points[0][0] ?? first;
  first = anchor - Math.ceil((anchor - first) / step) * step;
  const buckets = Math.min(5_000, Math.floor((last - first) / step) + 1);
  const times = Array.from({ length: buckets }, (_, i) => first + i * step);
  const seen = new Uint8Array(buckets);
  const bucketOf = (t: number): number => Math.round((t - first) / step);
  for (const s of answer.series) {
    for (const [t] of s.points) {
      const b = bucketOf(t);
      if (b >= 0 && b < buckets) seen[b] = 1;
    }
  }
  const lines = answer.series.map((s): PlotLine => {
    const values = new Array<number | null>(buckets);
    for (let b = 0; b < buckets; b++) values[b] = stacked && seen[b] ? 0 : null;
    let sum = 0;
    for (const [t, v] of s.points) {
      const b = bucketOf(t);
      if (b < 0 || b >= buckets) continue;
      values[b] = (values[b] ?? 0) + v;
      sum += v;
    }
    return { name: lineName(s.labels, by), group: groupOf(s.labels, by), rest: false, sum, values };
  });
  lines.sort((a, b) => b.sum - a.sum || (a.name < b.name ? -1 : 1));
  if (lines.length <= top + 1) return { times, step, lines };
  const tail = lines.slice(top);
  const values = times.map((_, b) => {
    let any = false;
    let sum = 0;
    for (const line of tail) {
      const v = line.values[b];
      if (v === null) continue;
      any = true;
      sum += v;
    }
    return any ? sum : null;
  });
  const rest: PlotLine = {
    name: `${tail.length} more`,
    group: '',
    rest: true,
    sum: tail.reduce((a, l) => a + l.sum, 0),
    values,
  };
  return { times, step, lines: [...lines.slice(0, top), rest] };
}

function groupOf(labels: Record<string, string>, by: string[]): string {
  return by.length === 0 ? '' : labels[by[0]] || UNTAGGED;
}

function lineName(labels: Record<string, string>, by: string[]): string {
  if (by.length === 0) return 'total';
  return by.map((name) => visible(labels[name] || UNTAGGED)).join(' · ');
}

/** The upper edge of each line when the lines are stacked in order; gaps remain gaps. */
export function stackedTops(lines: PlotLine[]): (number | null)[][] {
  const base: number[] = [];
  return lines.map((line) =>
    line.values.map((v, b) => {
      if (v === null) return base[b] === undefined ? null : base[b];
      base[b] = (base[b] ?? 0) + v;
      return base[b];
    }),
  );
}
