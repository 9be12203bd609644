// Where the user is in the tree, kept as names: ids change with every refresh and every order.

import type { Tree } from './layout';
import { type NodeId, ROOT, nodeId } from './units';

// Closures and generic functions can have one name in several lines. Of siblings with one name, all
// but the largest carry their rank: `name`, `name\t1`, `name\t2`.
const RANK = '\t';

/** The names from below the root down to the node. */
export function pathOf(tree: Tree, names: string[], node: NodeId): string[] {
  const path: string[] = [];
  for (let i: number = node; i !== 0; i = tree.parent[i]) {
    const rank = twins(tree, names, tree.parent[i], names[tree.frame[i]]).indexOf(i);
    path.push(rank > 0 ? `${names[tree.frame[i]]}${RANK}${rank}` : names[tree.frame[i]]);
  }
  return path.reverse();
}

/** The children of one name, largest first. */
function twins(tree: Tree, names: string[], parent: number, name: string): number[] {
  const found: number[] = [];
  for (let c = parent + 1; c < tree.end[parent]; c = tree.end[c]) {
    if (names[tree.frame[c]] === name) found.push(c);
  }
  return found.length > 1 ? found.sort((a, b) => tree.sum[b] - tree.sum[a] || tree.frame[a] - tree.frame[b]) : found;
}

export interface Found {
  node: NodeId;
  /** How many names of the path were found; fewer than asked when the tree has changed. */
  depth: number;
}

/** The deepest node of the path that is still there. */
export function findPath(tree: Tree, names: string[], path: string[]): Found {
  let at = 0;
  for (let d = 0; d < path.length; d++) {
    const [name, rank] = path[d].split(RANK);
    const alike = twins(tree, names, at, name);
    if (alike.length === 0) return { node: nodeId(at), depth: d };
    at = alike[Math.min(alike.length - 1, Number(rank ?? 0) || 0)];
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
