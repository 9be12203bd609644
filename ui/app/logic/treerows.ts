// The tree as the rows of an outline: the form of the flame graph for screen readers, and for reading without colours.

import type { Tree } from './layout';

export interface TreeRow {
  node: number;
  level: number;
  /** Null without drawn children. */
  expanded: boolean | null;
  /** The position among its siblings, from 1, and their number. */
  position: number;
  siblings: number;
}

/** More rows than a person reads; further expansions have no effect beyond it. */
const ROWS_MAX = 100_000;

/** The rows of the expanded nodes, siblings by descending total. */
export function treeRows(tree: Tree, expanded: ReadonlySet<number>, root = 0): TreeRow[] {
  const rows: TreeRow[] = [];
  const stack: TreeRow[] = [{ node: root, level: 1, expanded: null, position: 1, siblings: 1 }];
  while (stack.length > 0 && rows.length < ROWS_MAX) {
    const row = stack.pop()!;
    const { node, level } = row;
    const hasKids = node + 1 < tree.end[node];
    rows.push({ ...row, expanded: hasKids ? expanded.has(node) : null });
    if (!hasKids || !expanded.has(node)) continue;
    const kids: number[] = [];
    for (let c = node + 1; c < tree.end[node]; c = tree.end[c]) kids.push(c);
    kids.sort((a, b) => tree.sum[b] - tree.sum[a] || a - b);
    for (let k = kids.length - 1; k >= 0; k--) stack.push({ node: kids[k], level: level + 1, expanded: null, position: k + 1, siblings: kids.length });
  }
  return rows;
}

/** A node and the callees that hold nearly all of its value: what a reader would expand one by one. */
export function hotPath(tree: Tree, node: number, share = 0.9): number[] {
  const path = [node];
  for (;;) {
    const at = path[path.length - 1];
    let best = -1;
    for (let c = at + 1; c < tree.end[at]; c = tree.end[c]) if (best < 0 || tree.sum[c] > tree.sum[best]) best = c;
    if (best < 0 || tree.sum[best] < share * tree.sum[at]) return path;
    path.push(best);
  }
}

/** The node and its callers: what must be expanded to see it. */
export function callersOf(tree: Tree, node: number): number[] {
  const all: number[] = [];
  for (let i = node; i !== 0; i = tree.parent[i]) all.push(tree.parent[i]);
  return all;
}
