// Where the user is in the tree, kept as names: ids change with every refresh and every order.

import type { Tree } from './layout';
import { type NodeId, ROOT, nodeId } from './units';

/** The names from below the root down to the node. */
export function pathOf(tree: Tree, names: string[], node: NodeId): string[] {
  const path: string[] = [];
  for (let i: number = node; i !== 0; i = tree.parent[i]) path.push(names[tree.frame[i]]);
  return path.reverse();
}

export interface Found {
  node: NodeId;
  /** How many names of the path were found; fewer than asked when the tree has changed. */
  depth: number;
}

/** The deepest node of the path that is still there. Of siblings with one name, the largest. */
export function findPath(tree: Tree, names: string[], path: string[]): Found {
  let at = 0;
  for (let d = 0; d < path.length; d++) {
    let best = -1;
    for (let c = at + 1; c < tree.end[at]; c = tree.end[c]) {
      if (names[tree.frame[c]] === path[d] && (best < 0 || tree.sum[c] > tree.sum[best])) best = c;
    }
    if (best < 0) return { node: nodeId(at), depth: d };
    at = best;
  }
  return { node: at === 0 ? ROOT : nodeId(at), depth: path.length };
}

export function ancestors(tree: Tree, node: NodeId): NodeId[] {
  const up: NodeId[] = [];
  for (let i: number = node; ; i = tree.parent[i]) {
    up.push(nodeId(i));
    if (i === 0) return up.reverse();
  }
}
