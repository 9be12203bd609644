// The node at a point of the flame graph.

import type { Tree } from './layout';
import { type NodeId, nodeId } from './units';

/** The node at a row and a position in the profile's unit; null outside of every frame. */
export function nodeAt(tree: Tree, row: number, value: number): NodeId | null {
  if (row < 0 || row > tree.maxRow) return null;
  let i = 0;
  while (i < tree.n) {
    if (value < tree.start[i] || value >= tree.start[i] + tree.sum[i]) {
      i = tree.end[i];
    } else if (tree.row[i] === row) {
      return nodeId(i);
    } else {
      // Already below the row: no frame of this column is drawn in it.
      if (tree.row[i] > row) return null;
      i += tree.span[i];
    }
  }
  return null;
}
