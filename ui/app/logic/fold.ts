// Folding: an unbranching run of runtime frames takes one row. Folding changes only the rows that
// nodes are drawn in: totals, searches and paths always cover the whole tree.

import { FrameKind, type Frames } from './decode';
import { counted } from './format';
import type { Tree } from './layout';
import { shorts } from './shared';
import { familyOf, isRuntime, packageOf, packagesOf } from './packages';
import { type NodeId, nodeId } from './units';

/** Folding a shorter run would hide names and save little space. */
const SHORTEST = 3;
/** Frames of a chain at the root that stay visible, unless they are runtime frames. */
const KEPT = 3;

/** One entry per frame: 1 for a frame of the runtime. */
export function runtimeFrames({ names, files, kinds }: Frames): Uint8Array {
  const packages = packagesOf(names, files);
  return Uint8Array.from(names, (name, f) => (kinds[f] === FrameKind.Function && isRuntime(name, files[f], packages[f]) ? 1 : 0));
}

/**
 * The tree with its runs folded, except those that start at a node of `open`. A run has no branches
 * and its frames have no self value, so all of them are as wide as the first. In preorder its nodes
 * are consecutive: the first node and the length identify it.
 */
export function fold(tree: Tree, { kinds }: Frames, runtime: Uint8Array, open: Set<number>): Tree {
  const { n, frame, self, hidden, end, parent } = tree;
  const row = shorts(n);
  const span = shorts(n).fill(1);
  const run = shorts(n);
  // Whether a node's whole value belongs to a single drawn child, which is then the next node.
  const continues = (i: number): boolean => self[i] === 0 && hidden[i] === 0 && i + 1 < end[i] && end[i + 1] === end[i];
  const root = rootChain(tree, kinds, runtime, continues);
  let maxRow = 0;
  for (let i = 1; i < n; ) {
    row[i] = row[parent[i]] + 1;
    if (row[i] > maxRow) maxRow = row[i];
    let until = i;
    if (i === root.from) until = root.until;
    else if (runtime[frame[i]] === 1 && self[i] === 0) {
      until = i + 1;
      while (continues(until - 1) && runtime[frame[until]] === 1 && self[until] === 0) until++;
    }
    if (until - i < SHORTEST) {
      i++;
      continue;
    }
    run[i] = until - i;
    if (open.has(i)) {
      for (let k = i + 1; k < until; k++) row[k] = row[k - 1] + 1;
      maxRow = Math.max(maxRow, row[until - 1]);
    } else {
      span[i] = until - i;
      for (let k = i + 1; k < until; k++) {
        row[k] = row[i];
        span[k] = 0;
      }
    }
    i = until;
  }
  return { ...tree, row, span, run, maxRow };
}

// The chain of frames that the whole profile shares says nothing about it, whichever package it
// belongs to: from the root, below single groups, to a few frames above the first branch.
function rootChain({ n, self, frame }: Tree, kinds: Uint8Array, runtime: Uint8Array, continues: (i: number) => boolean): { from: number; until: number } {
  let at = 0;
  while (continues(at) && kinds[frame[at + 1]] === FrameKind.Group) at++;
  const from = at + 1;
  if (!continues(at) || from >= n) return { from: -1, until: -1 };
  let until = from + 1;
  while (continues(until - 1) && kinds[frame[until]] === FrameKind.Function) until++;
  let kept = 0;
  while (until > from && kept < KEPT && (runtime[frame[until - 1]] === 0 || self[until - 1] > 0)) {
    until--;
    kept++;
  }
  return { from, until };
}

/** The node whose row shows this node: the first of its folded run, or the node itself. */
export function visibleNode(tree: Tree, node: number): NodeId {
  let i = node;
  while (tree.span[i] === 0) i--;
  return nodeId(i);
}

/** The last node of a row; its children are drawn in the row below. */
export function lastOfRun(tree: Tree, node: number): NodeId {
  return nodeId(node + tree.span[node] - 1);
}

export const isFolded = (tree: Tree, node: number): boolean => tree.span[node] > 1;

/** `47 frames (tokio, std)`: with the packages that have the most frames. */
export function runText(tree: Tree, frames: Frames, node: number, packages = 3): string {
  const count = new Map<string, number>();
  for (let i = node; i < node + tree.run[node]; i++) {
    const f = tree.frame[i];
    const family = familyOf(packageOf(frames.names[f], frames.files[f]));
    if (family !== '') count.set(family, (count.get(family) ?? 0) + 1);
  }
  const families = [...count].sort((a, b) => b[1] - a[1]).map(([family]) => family);
  const named = families.slice(0, packages).join(', ') + (families.length > packages ? ', …' : '');
  return `${counted(tree.run[node], 'frame')}${named === '' ? '' : ` (${named})`}`;
}
