// Paths of frame names: they identify a node across refreshes and orders, which change node ids.

import type { Tree } from './layout';
import { type NodeId, ROOT, nodeId } from './units';

// Siblings can share a name: closures and generic functions, for example. All but the largest carry
// their rank: `name`, `name\t1`, `name\t2`.
const RANK = '\t';

/** The names from the root's child down to the node. */
export function pathOf(tree: Tree, names: string[], node: NodeId): string[] {
  const path: string[] = [];
  for (let i: number = node; i !== 0; i = tree.parent[i]) {
    const rank = sameNamed(tree, names, tree.parent[i], names[tree.frame[i]]).indexOf(i);
    path.push(rank > 0 ? `${names[tree.frame[i]]}${RANK}${rank}` : names[tree.frame[i]]);
  }
  return path.reverse();
}

/** The children of that name, largest first. */
function sameNamed(tree: Tree, names: string[], parent: number, name: string): number[] {
  const found: number[] = [];
  for (let c = parent + 1; c < tree.end[parent]; c = tree.end[c]) {
    if (names[tree.frame[c]] === name) found.push(c);
  }
  return found.length > 1 ? found.sort((a, b) => tree.sum[b] - tree.sum[a] || tree.frame[a] - tree.frame[b]) : found;
}

export interface Found {
  node: NodeId;
  /** The number of names that were found; fewer than the path's length if the tree has changed. */
  depth: number;
}

/** The deepest node of the path that exists in this tree. */
export function findPath(tree: Tree, names: string[], path: string[]): Found {
  let at = 0;
  for (let d = 0; d < path.length; d++) {
    const [name, rank] = path[d].split(RANK);
    const candidates = sameNamed(tree, names, at, name);
    if (candidates.length === 0) return { node: nodeId(at), depth: d };
    at = candidates[Math.min(candidates.length - 1, Number(rank ?? 0) || 0)];
  }
  return { node: at === 0 ? ROOT : nodeId(at), depth: path.length };
}

/** The callers from the root down to the node itself. */
export function ancestors(tree: Tree, node: NodeId): NodeId[] {
  const up: NodeId[] = [];
  for (let i: number = node; ; i = tree.parent[i]) {
    up.push(nodeId(i));
    if (i === 0) return up.reverse();
  }
}
