// The functions of a comparison, ranked by what changed.

import { type Frames, FrameKind } from '../decode';
import type { Tree } from '../layout';
import type { Sides } from './diff';

export interface RankRow {
  name: string;
  now: number;
  base: number;
  nowSelf: number;
  baseSelf: number;
}

/** The functions below `root`, with the totals of both sides; a recursive function counts once in its total. */
export function rankOf(tree: Tree, frames: Frames, sides: Sides, root = 0): RankRow[] {
  const k = frames.names.length;
  const rows = Array.from({ length: k }, (_, f): RankRow => ({ name: frames.names[f], now: 0, base: 0, nowSelf: 0, baseSelf: 0 }));
  const open = new Uint32Array(k);
  const stack = new Uint32Array(tree.maxDepth + 1);
  let height = 0;
  const top = tree.depth[root];
  for (let i = root; i < tree.end[root]; i++) {
    const d = tree.depth[i] - top;
    while (height > d) open[stack[--height]]--;
    const f = tree.frame[i];
    const row = rows[f];
    row.nowSelf += sides.nowSelf[i];
    row.baseSelf += sides.baseSelf[i];
    if (open[f]++ === 0) {
      row.now += sides.now[i];
      row.base += sides.base[i];
    }
    stack[height++] = f;
  }
  return rows.filter((row, f) => f !== tree.frame[0] && frames.kinds[f] === FrameKind.Function && (row.now > 0 || row.base > 0));
}

export type RankKey = 'delta' | 'self' | 'now' | 'base' | 'name';

/** Changes are sorted by their size, in either direction. */
export function sortRank(rows: RankRow[], key: RankKey, descending: boolean): RankRow[] {
  const sign = descending ? -1 : 1;
  const value = (row: RankRow): number => {
    switch (key) {
      case 'delta': return Math.abs(row.now - row.base);
      case 'self': return Math.abs(row.nowSelf - row.baseSelf);
      case 'now': return row.now;
      case 'base': return row.base;
      case 'name': return 0;
    }
  };
  const byName = (a: RankRow, b: RankRow): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return [...rows].sort((a, b) => (key === 'name' ? sign * byName(a, b) : sign * (value(a) - value(b)) || byName(a, b)));
}
