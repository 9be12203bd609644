// Folding: an unbranching run of the runtime's frames takes one row. The nodes stay: only the rows
// that they are drawn in differ, so that every total, search and path is of the whole tree.

import { FrameKind, type Frames } from './decode';
import type { Tree } from './layout';
import { familyOf, isRuntime, packageOf, packagesOf } from './packages';
import { type NodeId, nodeId } from './units';

/** A shorter run would take a name away and give little room. */
const SHORTEST = 3;
/** So much of a chain at the root stays in view, where it is not the runtime's. */
const KEPT = 3;

/** By frame: 1 where it is the runtime's. */
export function runtimeFrames({ names, files, kinds }: Frames): Uint8Array {
  const home = packagesOf(names, files);
  return Uint8Array.from(names, (name, f) => (kinds[f] === FrameKind.Function && isRuntime(name, files[f], home[f]) ? 1 : 0));
}

/**
 * The tree with its runs folded, but for those that begin at a node of `open`. A run has no branch,
 * and no frame of it has a value of its own: all of it is as wide as its first frame. In preorder it
 * is a stretch of neighbours, so a run is told by its first node and its length.
 */
export function fold(tree: Tree, { kinds }: Frames, runtime: Uint8Array, open: Set<number>): Tree {
  const { n, frame, self, hidden, end, parent } = tree;
  const row = new Uint16Array(n);
  const span = new Uint16Array(n).fill(1);
  const run = new Uint16Array(n);
  // Whether all of a node's value goes on into one drawn child, which is then the next node.
  const goesOn = (i: number): boolean => self[i] === 0 && hidden[i] === 0 && i + 1 < end[i] && end[i + 1] === end[i];
  const root = rootChain(tree, kinds, runtime, goesOn);
  let maxRow = 0;
  for (let i = 1; i < n; ) {
    row[i] = row[parent[i]] + 1;
    if (row[i] > maxRow) maxRow = row[i];
    let until = i;
    if (i === root.from) until = root.until;
    else if (runtime[frame[i]] === 1 && self[i] === 0) {
      until = i + 1;
      while (goesOn(until - 1) && runtime[frame[until]] === 1 && self[until] === 0) until++;
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

// What all of a profile has in common tells nothing about it, whoever has written it: the chain from
// the root, past the groups where there is one of each, down to the last few frames before it branches.
function rootChain({ n, self, frame }: Tree, kinds: Uint8Array, runtime: Uint8Array, goesOn: (i: number) => boolean): { from: number; until: number } {
  let at = 0;
  while (goesOn(at) && kinds[frame[at + 1]] === FrameKind.Group) at++;
  const from = at + 1;
  if (!goesOn(at) || from >= n) return { from: -1, until: -1 };
  let until = from + 1;
  while (goesOn(until - 1) && kinds[frame[until]] === FrameKind.Function) until++;
  let kept = 0;
  while (until > from && kept < KEPT && (runtime[frame[until - 1]] === 0 || self[until - 1] > 0)) {
    until--;
    kept++;
  }
  return { from, until };
}

/** The node that stands for this one on the screen: the first of its folded run, or itself. */
export function standIn(tree: Tree, node: number): NodeId {
  let i = node;
  while (tree.span[i] === 0) i--;
  return nodeId(i);
}

/** The last node of a row's frames, whose children are drawn under it. */
export function lastOf(tree: Tree, node: number): NodeId {
  return nodeId(node + tree.span[node] - 1);
}

export const isFolded = (tree: Tree, node: number): boolean => tree.span[node] > 1;

/** "47 frames (tokio, std)": the packages with the most frames, the largest first. */
export function runText(tree: Tree, frames: Frames, node: number, packages = 3): string {
  const count = new Map<string, number>();
  for (let i = node; i < node + tree.run[node]; i++) {
    const f = tree.frame[i];
    const home = familyOf(packageOf(frames.names[f], frames.files[f]));
    if (home !== '') count.set(home, (count.get(home) ?? 0) + 1);
  }
  const homes = [...count].sort((a, b) => b[1] - a[1]).map(([home]) => home);
  const named = homes.slice(0, packages).join(', ') + (homes.length > packages ? ', …' : '');
  return `${tree.run[node]} frames${named === '' ? '' : ` (${named})`}`;
}
