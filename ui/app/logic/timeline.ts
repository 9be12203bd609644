// From the series that the server sends to the columns that the timeline draws.

import { UNTAGGED } from './names';

export interface Series {
  labels: Record<string, string>;
  /** [start of the bucket in unix ms, value]; buckets without data are absent. */
  points: [number, number][];
}

export interface SeriesAnswer {
  type: string;
  unit: string;
  step_ms: number;
  from: number;
  until: number;
  partial: string[];
  series: Series[];
}

export interface Line {
  name: string;
  /** The value of the first label grouped by: what the colour goes by. */
  group: string;
  rest: boolean;
  sum: number;
  /** One value a bucket; null where nothing at all was received. */
  values: (number | null)[];
}

export interface Shaped {
  /** Starts of the buckets in unix ms, without holes. */
  times: number[];
  step: number;
  lines: Line[];
}

export const TOP = 8;

/**
 * The `top` largest series and, if there are more, one line that says how many it stands for.
 * A bucket in which nobody sent anything is a gap in every line. A bucket in which only some did
 * is nothing (0) for those that did not when stacking, and a gap when not.
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
  // A server need not align its buckets to the step: follow the first point that there is.
  const anchor = answer.series.find((s) => s.points.length > 0)?.points[0][0] ?? first;
  first = anchor - Math.ceil((anchor - first) / step) * step;
  const buckets = Math.min(5_000, Math.floor((last - first) / step) + 1);
  const times = Array.from({ length: buckets }, (_, i) => first + i * step);
  const seen = new Uint8Array(buckets);
  const slotOf = (t: number): number => Math.round((t - first) / step);
  for (const s of answer.series) {
    for (const [t] of s.points) {
      const b = slotOf(t);
      if (b >= 0 && b < buckets) seen[b] = 1;
    }
  }
  const lines = answer.series.map((s): Line => {
    const values = new Array<number | null>(buckets);
    for (let b = 0; b < buckets; b++) values[b] = stacked && seen[b] ? 0 : null;
    let sum = 0;
    for (const [t, v] of s.points) {
      const b = slotOf(t);
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
  const rest: Line = {
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
  return by.map((name) => labels[name] || UNTAGGED).join(' · ');
}

/** Each line's upper edge when the lines are piled up, in their order; gaps stay gaps. */
export function piled(lines: Line[]): (number | null)[][] {
  const base: number[] = [];
  return lines.map((line) =>
    line.values.map((v, b) => {
      if (v === null) return base[b] === undefined ? null : base[b];
      base[b] = (base[b] ?? 0) + v;
      return base[b];
    }),
  );
}
