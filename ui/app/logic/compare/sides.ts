// One side of a comparison as a tree of its own, with the nodes of the common tree: a node is the same in both, so that both
// show the same frame when one is pointed at or zoomed.

import type { Tree } from '../layout';
import type { Sides } from './diff';

export type SideName = 'now' | 'base';

/** The common tree with the widths of one side. Frames that the side does not have are 0 wide. */
export function sideTree({ tree, sides }: { tree: Tree; sides: Sides }, side: SideName): Tree {
  const sum = sides[side];
  const self = side === 'now' ? sides.nowSelf : sides.baseSelf;
  const { n, depth, parent } = tree;
  const start = new Float64Array(n);
  const hidden = new Float64Array(n);
  const cursor = new Float64Array(tree.maxDepth + 2);
  for (let i = 1; i < n; i++) {
    const d = depth[i];
    start[i] = cursor[d];
    cursor[d] += sum[i];
    cursor[d + 1] = start[i];
    hidden[parent[i]] -= sum[i];
  }
  // What is neither of the frame itself nor of its drawn callees was left out; below rounding errors there is nothing.
  for (let i = 0; i < n; i++) {
    const rest = hidden[i] + sum[i] - self[i];
    hidden[i] = rest > sum[0] * 1e-9 ? rest : 0;
  }
  return { ...tree, sum, self, start, hidden };
}

/** The node, or its closest caller that the side has. */
export function onSide({ sum, parent }: Tree, node: number): number {
  let at = node;
  while (at !== 0 && sum[at] === 0) at = parent[at];
  return at;
}
