import { describe, expect, test } from 'vitest';
import type { SeriesAnswer } from '../api/types';
import { finestFor, widthFor } from '../logic/buckets';
import { formatRate, rateScale } from '../logic/rates';
import { formatRateTicks } from '../logic/ticks';
import { shape, stackedTops, valueWithin } from '../logic/timeline';

describe('timeline', () => {
  const answer = (series: SeriesAnswer['series'], from = 0, until = 40_000): SeriesAnswer => ({
    type: 't', unit: 'count', step_ms: 10_000, from, until, partial: [], series,
  });

  test('a time bucket without data is a gap in every series', () => {
    const { times, lines } = shape(answer([
      { labels: { member: 'a' }, points: [[0, 5], [30_000, 7]] },
      { labels: { member: 'b' }, points: [[0, 1], [10_000, 2], [30_000, 3]] },
    ]), ['member'], true, 'average');
    expect(times).toEqual([0, 10_000, 20_000, 30_000]);
    expect(lines.map((l) => l.values)).toEqual([[5, 0, null, 7], [1, 2, null, 3]]);
    expect(stackedTops(lines)).toEqual([[5, 0, null, 7], [6, 2, null, 10]]);
  });

  test('missing data of one series is a gap in the lines style', () => {
    const { lines } = shape(answer([
      { labels: { member: 'a' }, points: [[0, 5]] },
      { labels: { member: 'b' }, points: [[10_000, 2]] },
    ]), ['member'], false, 'average');
    expect(lines[0].values).toEqual([5, null, null, null]);
  });

  test('series beyond the largest eight are summed into one with their number', () => {
    const { lines } = shape(answer(
      Array.from({ length: 12 }, (_, i) => ({ labels: { member: `m${i}` }, points: [[0, 12 - i]] as [number, number][] })),
    ), ['member'], true, 'average');
    expect(lines.map((l) => l.name)).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7', '4 more']);
    expect(lines[8]).toMatchObject({ rest: true, values: [4 + 3 + 2 + 1, null, null, null] });
  });

  test('nine series are shown individually', () => {
    const { lines } = shape(answer(
      Array.from({ length: 9 }, (_, i) => ({ labels: { member: `m${i}` }, points: [[0, 1]] as [number, number][] })),
    ), ['member'], true, 'average');
    expect(lines.every((l) => !l.rest)).toBe(true);
  });

  test('series without the label are named untagged', () => {
    const { lines } = shape(answer([{ labels: { member: '' }, points: [[0, 1]] }, { labels: {}, points: [[0, 1]] }]), ['member', 'op'], true, 'average');
    expect(lines[0]).toMatchObject({ name: '(untagged) · (untagged)', group: '(untagged)' });
  });

  test('time buckets that are not aligned to the step are kept', () => {
    const { times, lines } = shape(answer([{ labels: {}, points: [[3_000, 1], [13_000, 2]] }], 3_000, 23_000), [], true, 'average');
    expect(times).toContain(3_000);
    expect(lines[0].values.filter((v) => v !== null)).toEqual([1, 2]);
  });

  test('no data makes an empty timeline', () => {
    expect(shape(answer([]), [], true, 'sum').lines).toEqual([]);
  });
});

describe('rates', () => {
  const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds';
  const answer = (points: [number, number][], until: number, step_ms: number): SeriesAnswer => ({
    type: CPU, unit: 'nanoseconds', step_ms, from: 0, until, partial: [], series: [{ labels: {}, points }],
  });
  /** Windows of `window` ms with jittered starts, one core of load. */
  const load = (window: number, until: number, step: number): [number, number][] => {
    const points: [number, number][] = [];
    for (let t = 0; t + window <= until; t += window + 3) {
      const start = Math.floor(t / step) * step;
      const last = points.at(-1);
      if (last?.[0] === start) last[1] += window * 1e6;
      else points.push([start, window * 1e6]);
    }
    return points;
  };
  const rates = (window: number, width: number, step: number): number[] =>
    shape(answer(load(window, 1_800_000, step), 1_800_000, step), [], true, 'sum', width).lines[0].values
      .filter((v): v is number => v !== null).map((v) => v / 1e9);

  test('a steady load is a flat line, whatever the duration of windows and the width of buckets', () => {
    for (const [window, width, step] of [[10_000, 10_000, 5_000], [10_000, 20_000, 5_000], [15_000, 20_000, 5_000], [15_000, 60_000, 10_000], [60_000, 20_000, 5_000]]) {
      const inner = rates(window, width, step).slice(1, -2);
      expect(Math.min(...inner), `window ${window} in buckets of ${width}`).toBeGreaterThan(0.8);
      expect(Math.max(...inner), `window ${window} in buckets of ${width}`).toBeLessThan(1.35);
    }
  });

  test('buckets are never shorter than the windows', () => {
    expect(shape(answer(load(60_000, 900_000, 5_000), 900_000, 5_000), [], true, 'sum', 10_000).step).toBe(60_000);
    expect(shape(answer(load(10_000, 900_000, 5_000), 900_000, 5_000), [], true, 'sum', 10_000).step).toBe(10_000);
  });

  test('a member that works every minute has a bar every minute, and does not widen the bars', () => {
    const busy = load(10_000, 900_000, 5_000);
    const ticking = busy.filter((_, i) => i % 6 === 0);
    const { step, lines } = shape({ ...answer(busy, 900_000, 5_000), series: [{ labels: { m: 'a' }, points: busy }, { labels: { m: 'b' }, points: ticking }] }, ['m'], true, 'sum', 10_000);
    expect(step).toBe(10_000);
    const idle = lines[1].values.filter((v) => v === 0).length;
    expect(idle / lines[1].values.length).toBeGreaterThan(0.6);
  });

  test('the windows of two sources that alternate are as long as those of each', () => {
    const points = (offset: number): [number, number][] => Array.from({ length: 50 }, (_, i): [number, number] => [offset + i * 15_000, 15e9]);
    const { lines } = shape({ ...answer([], 750_000, 5_000), series: [{ labels: { i: '1' }, points: points(0) }, { labels: { i: '2' }, points: points(5_000) }] }, ['i'], true, 'sum', 20_000);
    for (const line of lines) for (const v of line.values.slice(1, -2)) expect(v! / 1e9).toBeCloseTo(1, 1);
  });

  test('the rate does not change with the width of the buckets, and the sum is that of the points', () => {
    for (const width of [20_000, 60_000, 300_000]) {
      const { lines: [line] } = shape(answer(load(10_000, 1_800_000, 5_000), 1_800_000, 5_000), [], true, 'sum', width);
      expect(line.values[1]! / 1e9).toBeCloseTo(1, 1);
      expect(valueWithin(line, false, () => true)).toBeCloseTo(load(10_000, 1_800_000, 5_000).reduce((a, [, v]) => a + v, 0), -3);
    }
  });

  test('a pause of several windows is a gap', () => {
    const points = load(10_000, 600_000, 5_000).filter(([t]) => t < 200_000 || t > 300_000);
    const { times, lines } = shape(answer(points, 600_000, 5_000), [], true, 'sum', 20_000);
    expect(lines[0].values[times.indexOf(240_000)]).toBeNull();
    expect(lines[0].values[times.indexOf(160_000)]).not.toBeNull();
  });

  test('a bucket that is covered in part shows the rate of the covered part', () => {
    const { lines } = shape(answer(load(10_000, 140_000, 5_000), 140_000, 5_000), [], true, 'sum', 60_000);
    expect(lines[0].values.at(-1)! / 1e9).toBeCloseTo(1, 0);
  });

  test('at most 300 buckets, and at most six points in each', () => {
    for (const seconds of [60, 900, 3600, 6 * 3600, 86_400, 7 * 86_400, 731 * 86_400]) {
      const width = widthFor(seconds * 1000);
      expect(seconds / width).toBeLessThanOrEqual(300);
      expect(width % finestFor(width)).toBe(0);
      expect(width / finestFor(width)).toBeLessThanOrEqual(6);
    }
  });

  test('axes are in cores, threads, bytes per second or averages', () => {
    const scale = rateScale(CPU, 'nanoseconds', 'sum');
    expect([2.5e9, 1e9, 3.1e6, 0].map((v) => formatRate(v, scale))).toEqual(['2.50 cores', '1 core', '0.0031 cores', '0 cores']);
    expect(formatRateTicks([0, 5e8, 1e9], scale)).toEqual(['0.0', '0.5', '1.0']);
    expect(formatRate(3e9, rateScale('wall:wall:nanoseconds:wall:nanoseconds', 'nanoseconds', 'sum'))).toBe('3 threads');
    expect(formatRate(2048, rateScale('memory:alloc_space:bytes:space:bytes', 'bytes', 'sum'))).toBe('2.00 KiB/s');
    expect(formatRate(2048, rateScale('memory:inuse_space:bytes:space:bytes', 'bytes', 'average'))).toBe('2.00 KiB');
    expect(formatRate(5, rateScale('tasks:polls:count::', 'count', 'sum'))).toBe('5/s');
  });
});
