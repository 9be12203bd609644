// The order of siblings by name.

import type { Tree } from './layout';
import { floats, shorts, words } from './shared';

const knownRanks = new WeakMap<string[], Uint32Array>();
/** The rank of each name in their order, which is computed once: sorting them takes longer than sorting a tree by it. */
export function ranksOf(names: string[]): Uint32Array {
  let ranks = knownRanks.get(names);
  if (ranks === undefined) {
    ranks = new Uint32Array(names.length);
    const order = Array.from(names.keys()).sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
    for (let at = 0; at < order.length; at++) ranks[order[at]] = at;
    knownRanks.set(names, ranks);
  }
  return ranks;
}

/**
 * The same tree with siblings sorted by name. Nodes change their position, so that preorder still
 * runs from left to right: node ids differ between the two orders.
 */
export function byName(tree: Tree, names: string[]): Tree {
  const { n, frame, self, hidden, hiddenChildren, depth, sum, end } = tree;
  const rank = ranksOf(names);
  const [movedSelf, movedHidden, movedSum, start] = [floats(n), floats(n), floats(n), floats(n)];
  const [movedFrame, movedChildren, movedEnd, parent] = [words(n), words(n), words(n), words(n)];
  const movedDepth = shorts(n);
  // By depth: the newest node, and the left edge of the next one.
  const last = new Uint32Array(tree.maxDepth + 1);
  const cursor = new Float64Array(tree.maxDepth + 2);
  // Nodes yet to be written, the next one last.
  const stack = new Uint32Array(n);
  let height = 1;
  for (let at = 0; height > 0; at++) {
    const i = stack[--height];
    const d = depth[i];
    const x = cursor[d];
    movedSelf[at] = self[i];
    // Pages of zeros that nobody wrote to take no memory.
    if (hidden[i] !== 0) movedHidden[at] = hidden[i];
    if (hiddenChildren[i] !== 0) movedChildren[at] = hiddenChildren[i];
    movedFrame[at] = frame[i];
    movedDepth[at] = d;
    movedSum[at] = sum[i];
    movedEnd[at] = at + end[i] - i;
    start[at] = x;
    if (d > 0) parent[at] = last[d - 1];
    last[d] = at;
    cursor[d] = x + sum[i];
    cursor[d + 1] = x;
    const from = height;
    for (let c = i + 1; c < end[i]; c = end[c]) stack[height++] = c;
    if (height - from > 1) lastByRank(stack, from, height, frame, rank);
  }
  return {
    ...tree, self: movedSelf, hidden: movedHidden, frame: movedFrame, hiddenChildren: movedChildren, depth: movedDepth, sum: movedSum, start,
    end: movedEnd, parent, row: movedDepth, span: shorts(n).fill(1), run: shorts(n), maxRow: tree.maxDepth,
  };
}

/** Sorts a part of the nodes by descending rank of their frames, and those of one rank from the last to the first. */
function lastByRank(nodes: Uint32Array, from: number, until: number, frame: Uint32Array, rank: Uint32Array): void {
  if (until - from > 24) {
    nodes.subarray(from, until).sort((a, b) => rank[frame[b]] - rank[frame[a]] || b - a);
    return;
  }
  for (let i = from + 1; i < until; i++) {
    const node = nodes[i];
    const of = rank[frame[node]];
    let k = i - 1;
    for (; k >= from && rank[frame[nodes[k]]] <= of; k--) nodes[k + 1] = nodes[k];
    nodes[k + 1] = node;
  }
}
