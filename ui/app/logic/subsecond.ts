// The heat map of seconds by the offset within the second, of samples with times: what happens at every second, or for some
// milliseconds only, shows as a pattern. As FlameScope draws it: time goes up a column, then on to the next.

export interface TimeSpan {
  /** Seconds of the file's clock; `until` is exclusive. */
  from: number;
  until: number;
}

export interface Offsets {
  /** The second that the first column stands for. */
  second: number;
  /** The number of columns. */
  columns: number;
  /** The number of cells of a second. */
  rows: number;
  /** The sum of the values of each cell, column by column. */
  cells: Float64Array;
}

/** Cells of 20 ms. */
export const ROWS = 50;
/** More columns do not fit on a screen. */
export const COLUMNS_MAX = 3_600;

/** Null if the samples have no times, only one, or are of more than an hour. */
export function offsetsOf(times: ArrayLike<number>, values: ArrayLike<number>): Offsets | null {
  let [first, last] = [Infinity, -Infinity];
  for (let i = 0; i < times.length; i++) {
    if (times[i] < first) first = times[i];
    if (times[i] > last) last = times[i];
  }
  if (!(last > first)) return null;
  const second = Math.floor(first);
  const columns = Math.floor(last) - second + 1;
  if (columns > COLUMNS_MAX) return null;
  const cells = new Float64Array(columns * ROWS);
  for (let i = 0; i < times.length; i++) cells[Math.min(cells.length - 1, cellAt(times[i] - second))] += values[i];
  return { second, columns, rows: ROWS, cells };
}

/** Of a cell: seconds since 1970 have a resolution of 0.24 us. */
const TOLERANCE = 1e-3;
const cellAt = (seconds: number): number => Math.floor(seconds * ROWS + TOLERANCE);

/** The time of the cells from one to another, in either order. */
export function spanOf({ second, rows }: Offsets, a: number, b: number): TimeSpan {
  return { from: second + Math.min(a, b) / rows, until: second + (Math.max(a, b) + 1) / rows };
}

/** Whether a time is in a span, with the tolerance of the cells. */
export const isWithin = (time: number, { from, until }: TimeSpan): boolean => time >= from - TOLERANCE / ROWS && time < until - TOLERANCE / ROWS;

/** The cell after a key, within the map: up and down the second, left and right to another second. */
export function movedCell({ columns, rows }: Offsets, at: number, dx: number, dy: number): number {
  const [column, row] = [Math.floor(at / rows), at % rows];
  const clamp = (value: number, count: number): number => Math.min(count - 1, Math.max(0, value));
  return clamp(column + dx, columns) * rows + clamp(row + dy, rows);
}
