// The table of functions of a zoomed subtree, computed from the drawn frames. The table of the whole
// profile comes from the server, which also counts frames that are not drawn.

import type { FunctionRow, TopAnswer } from '../api/types';
import type { Frames } from './decode';
import { FrameKind } from './decode';
import type { Tree } from './layout';
import { visible } from './names';

/**
 * The functions below `root`. A recursive function is counted once in its total. Group frames are not functions. The
 * self values of the frames of `attributed`, one entry per frame, count for the nearest caller that is not one of them.
 */
export function topOf(tree: Tree, frames: Frames, root = 0, attributed: Uint8Array | null = null): FunctionRow[] {
  const { frame, depth, self, sum, end, maxDepth } = tree;
  const k = frames.names.length;
  const selfs = new Float64Array(k);
  const totals = new Float64Array(k);
  const open = new Uint32Array(k);
  const stack = new Uint32Array(maxDepth + 1);
  // The frame that the self value of each level counts for.
  const owner = new Uint32Array(maxDepth + 1);
  let height = 0;
  const base = depth[root];
  for (let i = root; i < end[root]; i++) {
    const d = depth[i] - base;
    while (height > d) open[stack[--height]]--;
    const f = frame[i];
    const isAttributed = attributed !== null && attributed[f] === 1 && d > 0;
    owner[d] = isAttributed ? owner[d - 1] : f;
    selfs[owner[d]] += self[i];
    if (open[f]++ === 0 && !isAttributed) totals[f] += sum[i];
    stack[height++] = f;
  }
  const rows: FunctionRow[] = [];
  const rootFrame = frame[0];
  for (let f = 0; f < k; f++) {
    if (totals[f] === 0 || f === rootFrame || frames.kinds[f] !== FrameKind.Function) continue;
    rows.push({ name: frames.names[f], file: frames.files[f], self: selfs[f], total: totals[f] });
  }
  return rows;
}

/** The server's table with the names that the flame graph shows, so that both have the same matches. */
export function withVisibleNames(answer: TopAnswer): TopAnswer {
  const functions = answer.functions.map((row) => ({ ...row, name: visible(row.name), file: row.file === '' ? '' : visible(row.file) }));
  return { ...answer, functions };
}

export type SortKey = 'self' | 'total' | 'name';

export function sortRows(rows: FunctionRow[], key: SortKey, descending: boolean): FunctionRow[] {
  const sign = descending ? -1 : 1;
  const byText = (a: FunctionRow, b: FunctionRow): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return [...rows].sort((a, b) =>
    key === 'name' ? sign * byText(a, b) : sign * (a[key] - b[key]) || byText(a, b),
  );
}
