// The heat map of time and series: how dark each cell is, and what a selection of cells opens.

import { UNTAGGED } from './names';
import type { PlotLine } from './timeline';

/** The number of shades; 0 is a value of 0. */
export const SHADES = 10;

/** A selection of cells: a row, and time buckets from the one where it began to the one where it ends. */
export interface Cells {
  row: number;
  began: number;
  ends: number;
}

/**
 * The shade of each cell from 0 to `SHADES`; -1 where no data was received. The darkest is the largest value of all rows, or of
 * each row; the sum of the smaller series does not count as a row. A value above 0 is never shown as 0.
 */
export function shades(lines: PlotLine[], ofRow: boolean): Int8Array[] {
  const largest = (line: PlotLine): number => line.values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  const all = Math.max(0, ...lines.filter((line) => !line.rest || lines.length === 1).map(largest));
  return lines.map((line) => {
    const most = ofRow ? largest(line) : all;
    return Int8Array.from(line.values, (value) => {
      if (value === null) return -1;
      if (value <= 0 || most <= 0) return 0;
      return Math.min(SHADES, Math.max(1, Math.ceil((value / most) * SHADES)));
    });
  });
}

/** The selection after a key: moved, or with another end. It stays within the map. */
export function movedCells({ row, began, ends }: Cells, rows: number, columns: number, dx: number, dy: number, isEnd: boolean): Cells {
  const within = (value: number, count: number): number => Math.min(count - 1, Math.max(0, value));
  const to = within(ends + dx, columns);
  if (isEnd) return { row, began, ends: to };
  return { row: within(row + dy, rows), began: to, ends: to };
}

/** The path to the group frames of a row in the flame graph; empty for the sum of several series, which has none. */
export function pathOfLine({ labels }: PlotLine, by: string[]): string[] {
  return labels === null ? [] : by.map((name) => `${name}=${labels[name] || UNTAGGED}`);
}
