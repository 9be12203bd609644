import { describe, expect, test } from 'vitest';
import { SHADES, movedCells, pathOfLine, shades } from '../logic/heat';
import type { PlotLine } from '../logic/timeline';

const line = (name: string, values: (number | null)[], more: Partial<PlotLine> = {}): PlotLine => ({
  name, group: name, labels: { member: name }, rest: false, sum: 0, values, totals: new Float64Array(values.length), ...more,
});

describe('heat map', () => {
  test('the darkest cell is the largest value, a gap is no value, and little is not nothing', () => {
    const [api, gc] = shades([line('api', [0, 50, 100, null]), line('gc', [0.001, 0, 10, 11])], false);
    expect([...api]).toEqual([0, 5, SHADES, -1]);
    expect([...gc]).toEqual([1, 0, 1, 2]);
  });

  test('each row by itself has a darkest cell', () => {
    const [api, gc] = shades([line('api', [50, 100]), line('gc', [0, 2])], true);
    expect([[...api], [...gc]]).toEqual([[5, SHADES], [0, SHADES]]);
  });

  test('the sum of the smaller series does not make the others pale', () => {
    const [api] = shades([line('api', [10]), line('9 more', [1_000], { rest: true, labels: null })], false);
    expect([...api]).toEqual([SHADES]);
  });

  test('keys move the selection and its end within the map', () => {
    const at = { row: 0, began: 4, ends: 4 };
    expect(movedCells(at, 3, 10, 1, 0, false)).toEqual({ row: 0, began: 5, ends: 5 });
    expect(movedCells(at, 3, 10, -2, 0, true)).toEqual({ row: 0, began: 4, ends: 2 });
    expect(movedCells(at, 3, 10, 0, 9, false)).toEqual({ row: 2, began: 4, ends: 4 });
    expect(movedCells(at, 3, 10, -99, -1, false)).toEqual({ row: 0, began: 0, ends: 0 });
  });

  test('a row opens its group in the flame graph', () => {
    expect(pathOfLine(line('api', []), ['member', 'op'])).toEqual(['member=api', 'op=(untagged)']);
    expect(pathOfLine(line('9 more', [], { rest: true, labels: null }), ['member'])).toEqual([]);
  });
});
