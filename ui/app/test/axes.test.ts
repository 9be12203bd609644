import { describe, expect, test } from 'vitest';
import { timeLabels, timeTicks, valueTicks } from '../logic/axes';

const at = (day: number, hour: number, minute = 0, second = 0): number => new Date(2026, 2, day, hour, minute, second).getTime();

describe('axes', () => {
  test('times are round in local time, and no more than fit', () => {
    const check = (from: number, until: number, most: number, first: string, count: number): void => {
      const ticks = timeTicks(from, until, most);
      expect(ticks.length).toBe(count);
      expect(ticks.length).toBeLessThanOrEqual(most + 1);
      expect(timeLabels(ticks, { from, until })[0]).toBe(first);
      expect(ticks.every((t) => t >= from && t < until)).toBe(true);
    };
    check(at(10, 9, 7), at(10, 10, 7), 14, '09:10', 12);
    check(at(10, 9, 0, 3), at(10, 9, 5), 10, '09:00:30', 9);
    check(at(10, 18), at(11, 18), 10, '18:00', 8);
    check(at(3, 5), at(10, 5), 8, '03-04', 7);
    check(at(1, 0), at(29, 0), 6, timeLabels(timeTicks(at(1, 0), at(29, 0), 6), { from: at(1, 0), until: at(29, 0) })[0], 4);
  });

  test('days that are skipped are the same wherever the range begins', () => {
    const of = (day: number) => timeTicks(at(day, 5), at(day + 12, 5), 7);
    const [a, b] = [of(3), of(4)];
    expect(a.filter((t) => t > at(5, 0) && t < at(14, 0))).toEqual(b.filter((t) => t > at(5, 0) && t < at(14, 0)));
  });

  test('a range over days has the date at the first tick of each day', () => {
    const range = { from: at(10, 0), until: at(12, 0) };
    expect(timeLabels(timeTicks(range.from, range.until, 8), range)).toEqual(['03-10', '06:00', '12:00', '18:00', '03-11', '06:00', '12:00', '18:00']);
  });

  test('values start at zero, and the distance is the smallest that fits', () => {
    expect(valueTicks(1.3, [0.1, 0.2, 0.5, 1], 4)).toEqual([0, 0.5, 1]);
    expect(valueTicks(1000, [1, 2], 4)).toEqual([0, 250, 500, 750, 1000]);
    expect(valueTicks(0, [1], 4)).toEqual([0]);
  });
});
