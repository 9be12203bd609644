// Where an arrow key leads from a focused frame.

import { lastOf, standIn } from './fold';
import type { Tree } from './layout';
import { type NodeId, nodeId } from './units';

export type Direction = 'callee' | 'caller' | 'left' | 'right';

/** The neighbour, or the node itself where there is none. */
export function neighbour(tree: Tree, node: NodeId, direction: Direction): NodeId {
  switch (direction) {
    case 'caller':
      return standIn(tree, tree.parent[node]);
    case 'callee':
      return largestChild(tree, lastOf(tree, node));
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
  return standIn(tree, best);
}

// The next node on the same row, whether a sibling or a cousin.
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

/** The node under a place: a row, and a position in the profile's unit. Null beside every frame. */
export function nodeAt(tree: Tree, row: number, value: number): NodeId | null {
  if (row < 0 || row > tree.maxRow) return null;
  let i = 0;
  while (i < tree.n) {
    if (value < tree.start[i] || value >= tree.start[i] + tree.sum[i]) {
      i = tree.end[i];
    } else if (tree.row[i] === row) {
      return nodeId(i);
    } else {
      // Past the row: the preorder has left the column without meeting it.
      if (tree.row[i] > row) return null;
      i += tree.span[i];
    }
  }
  return null;
}

/** The part of a node that its undrawn children take, right of the drawn ones. */
export function hiddenStart(tree: Tree, node: NodeId): number {
  return tree.start[node] + tree.sum[node] - tree.self[node] - tree.hidden[node];
}
