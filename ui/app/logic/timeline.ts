// The timeline: the server's series as rates in time buckets of equal width.

import type { SeriesAnswer } from '../api/types';
import { spread } from './buckets';
import type { Aggregation } from './decode';
import { UNTAGGED, visible } from './names';

export interface PlotLine {
  name: string;
  /** The value of the first grouping label, which determines the colour. */
  group: string;
  /** Its labels; null if it sums up the smaller series. */
  labels: Record<string, string> | null;
  /** Whether it sums up the smaller series. */
  rest: boolean;
  sum: number;
  /** One value per time bucket, per second or averaged; null where no data was received. */
  values: (number | null)[];
  /** The values that are added up per time bucket; 0 where no data was received. */
  totals: Float64Array;
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
 * stacked and a gap otherwise. Buckets are at least `width` ms wide.
 */
export function shape(answer: SeriesAnswer, by: string[], stacked: boolean, aggregation: Aggregation | null, width = answer.step_ms, top = TOP): Shaped {
  const averaged = aggregation === 'average';
  const { times, step, covered, series } = spread(answer, width, averaged);
  const rate = (sum: number, b: number): number => (averaged ? sum / covered[b] : sum / (covered[b] / 1000));
  const lines = series.map(({ labels, present, sums }): PlotLine => {
    const values = times.map((_, b) => {
      if (covered[b] === 0) return null;
      return present[b] === 1 || stacked ? rate(sums[b], b) : null;
    });
    return { name: lineName(labels, by), group: groupOf(labels, by), labels, rest: false, sum: total(sums), values, totals: sums };
  });
  lines.sort((a, b) => b.sum - a.sum || (a.name < b.name ? -1 : 1));
  if (lines.length <= top + 1) return { times, step, lines };
  const tail = lines.slice(top);
  const totals = new Float64Array(times.length);
  for (const line of tail) line.totals.forEach((v, b) => { totals[b] += v; });
  const values = times.map((_, b) => (tail.every((line) => line.values[b] === null) ? null : rate(totals[b], b)));
  const rest: PlotLine = { name: `${tail.length} more`, group: '', labels: null, rest: true, sum: total(totals), values, totals };
  return { times, step, lines: [...lines.slice(0, top), rest] };
}

const total = (values: Float64Array): number => values.reduce((a, v) => a + v, 0);

function groupOf(labels: Record<string, string>, by: string[]): string {
  return by.length === 0 ? '' : labels[by[0]] || UNTAGGED;
}

function lineName(labels: Record<string, string>, by: string[]): string {
  if (by.length === 0) return 'total';
  return by.map((name) => visible(labels[name] || UNTAGGED)).join(' · ');
}

/** The value of a line in the buckets that `inside` selects: the sum, or the average of those with data. Null without data. */
export function valueWithin(line: PlotLine, averaged: boolean, inside: (bucket: number) => boolean): number | null {
  let sum = 0;
  let count = 0;
  line.values.forEach((v, b) => {
    if (v === null || !inside(b)) return;
    sum += averaged ? v : line.totals[b];
    count++;
  });
  if (count === 0) return null;
  return averaged ? sum / count : sum;
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
