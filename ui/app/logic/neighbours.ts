// The frame that an arrow key leads to.

import { lastOfRun, visibleNode } from './fold';
import type { Tree } from './layout';
import { type NodeId, nodeId } from './units';

export type Direction = 'callee' | 'caller' | 'left' | 'right';

/** The neighbour in a direction, or the node itself if it has none. */
export function neighbour(tree: Tree, node: NodeId, direction: Direction): NodeId {
  switch (direction) {
    case 'caller':
      return visibleNode(tree, tree.parent[node]);
    case 'callee':
      return largestChild(tree, lastOfRun(tree, node));
    case 'right':
      return next(tree, node);
    case 'left':
      return previous(tree, node);
  }
}

function largestChild(tree: Tree, node: NodeId): NodeId {
  let best: number = node;
  for (let c = node + 1; c < tree.end[node]; c = tree.end[c]) {
    if (best === node || tree.sum[c] > tree.sum[best]) best = c;
  }
  return visibleNode(tree, best);
}

// The next node of the same row: a sibling or a cousin.
function next(tree: Tree, node: NodeId): NodeId {
  for (let i = tree.end[node]; i < tree.n; i++) {
    if (tree.row[i] === tree.row[node] && tree.span[i] > 0) return nodeId(i);
  }
  return node;
}

function previous(tree: Tree, node: NodeId): NodeId {
  for (let i = node - 1; i > 0; i--) {
    if (tree.row[i] === tree.row[node] && tree.span[i] > 0) return nodeId(i);
  }
  return node;
}
