// Layout of decoded columns as a tree that is drawn, searched and walked without recursion: each
// node's total, left edge, parent and end of subtree.

import type { Columns } from './decode';
import { floats, shared, shorts, words } from './shared';

export interface Tree extends Columns {
  /** The total: self, hidden and the children's totals, in the profile's unit. */
  sum: Float64Array;
  /** The left edge, in the profile's unit from the left edge of the root. */
  start: Float64Array;
  /** The first node after the subtree: `i + 1 .. end[i]` are the descendants of `i`. */
  end: Uint32Array;
  /** The parent; 0 for the root. */
  parent: Uint32Array;
  /** The value of all frames that are not drawn. */
  undrawn: number;
  maxDepth: number;
  /** The row that the node is drawn in; the depth unless runs are folded. */
  row: Uint16Array;
  /** The number of frames that its row shows: more than 1 at the start of a folded run, 0 within it. */
  span: Uint16Array;
  /** The length of the run that starts at the node, folded or not; 0 if none does. */
  run: Uint16Array;
  maxRow: number;
}

export function layout({ n, total, negative, ...columns }: Columns): Tree {
  const self = shared(columns.self);
  const hidden = shared(columns.hidden);
  const depth = shared(columns.depth);
  let maxDepth = 0;
  for (let i = 0; i < n; i++) if (depth[i] > maxDepth) maxDepth = depth[i];
  const sum = floats(n);
  const end = words(n);
  const parent = words(n);
  const last = new Uint32Array(maxDepth + 1);
  let undrawn = 0;
  for (let i = 0; i < n; i++) {
    const d = depth[i];
    last[d] = i;
    if (d > 0) parent[i] = last[d - 1];
    sum[i] = self[i] + hidden[i];
    undrawn += hidden[i];
    end[i] = i + 1;
  }
  for (let i = n - 1; i > 0; i--) {
    const p = parent[i];
    sum[p] += sum[i];
    if (end[p] < end[i]) end[p] = end[i];
  }
  return {
    n, total, negative, self, hidden, depth, frame: shared(columns.frame), hiddenChildren: shared(columns.hiddenChildren),
    sum, start: startsOf(depth, sum, maxDepth), end, parent, undrawn, maxDepth, row: depth, span: shorts(n).fill(1), run: shorts(n), maxRow: maxDepth,
  };
}

/** The left edges of the nodes. */
export function startsOf(depth: Uint16Array, sum: Float64Array, maxDepth: number): Float64Array {
  const n = sum.length;
  const start = floats(n);
  const cursor = new Float64Array(maxDepth + 2);
  for (let i = 1; i < n; i++) {
    const d = depth[i];
    const x = cursor[d];
    start[i] = x;
    cursor[d] = x + sum[i];
    cursor[d + 1] = x;
  }
  return start;
}

/** The left edge of a node's undrawn children, which are placed right of the drawn ones. */
export function hiddenStart(tree: Tree, node: number): number {
  return tree.start[node] + tree.sum[node] - tree.self[node] - tree.hidden[node];
}

export type Order = 'heavy' | 'name';
